// Lists of blocks, as the tests of C12 make them.
#pragma once

#include "support/threads.h"

namespace lists {

inline aiocb entry(int opcode, int descriptor, void* buffer, size_t length, off_t offset = 0) {
  aiocb made = support::block(descriptor, buffer, length, offset);
  made.aio_lio_opcode = opcode;
  return made;
}

inline std::vector<aiocb*> pointers_to(std::vector<aiocb>& blocks) {
  std::vector<aiocb*> list;
  for (aiocb& block : blocks) list.push_back(&block);
  return list;
}

inline int list_io(int mode, const std::vector<aiocb*>& list, sigevent* event = nullptr) {
  return lio_listio(mode, list.data(), static_cast<int>(list.size()), event);
}

}  // namespace lists
