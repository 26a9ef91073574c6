// What a lane of a pipe must have done: the transfers in call order, put one behind the other, are
// one stretch of a known endless sequence of bytes (C9), with nothing lost and nothing twice (C14).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace model {

// The byte at a place of the sequence; its period is longer than any read.
inline char sequence_byte(uint64_t place) {
  uint64_t mixed = place * 0x9e3779b97f4a7c15ULL;
  mixed ^= mixed >> 29;
  return static_cast<char>(mixed ^ mixed >> 37);
}

inline std::string sequence(uint64_t from, size_t count) {
  std::string bytes(count, '\0');
  for (size_t i = 0; i < count; ++i) bytes[i] = sequence_byte(from + i);
  return bytes;
}

// Pieces in call order; each is filled in when its request has ended, in any order.
class Lane {
 public:
  size_t open() {
    pieces_.emplace_back();
    return pieces_.size() - 1;
  }
  void fill(size_t piece, std::string bytes) { pieces_[piece] = std::move(bytes); }
  std::string all() const {
    std::string joined;
    for (const std::string& piece : pieces_) joined += piece;
    return joined;
  }

 private:
  std::vector<std::string> pieces_;
};

}  // namespace model
