// What the shared object that serves aio_read says about itself in its ELF file: what it needs and
// what it imports.
#pragma once

#include <dlfcn.h>
#include <elf.h>

#include <fstream>
#include <iterator>
#include <set>

#include "support/support.h"

namespace support {

class LoadedLibrary {
 public:
  LoadedLibrary() {
    Dl_info info;
    void* address = dlsym(RTLD_DEFAULT, "aio_read");
    if (address != nullptr && dladdr(address, &info) != 0) path_ = info.dli_fname;
    std::ifstream file(path_, std::ios::binary);
    image_.assign(std::istreambuf_iterator<char>(file), {});
    read_sections();
  }

  const std::string& path() const { return path_; }
  // Undefined symbols: what other objects must provide.
  const std::set<std::string>& imports() const { return imports_; }
  // DT_NEEDED entries.
  const std::set<std::string>& needed() const { return needed_; }

 private:
  template <class Entry>
  const Entry* at(size_t offset) const {
    return reinterpret_cast<const Entry*>(image_.data() + offset);
  }

  void read_sections() {
    ASSERT_GT(image_.size(), sizeof(Elf64_Ehdr)) << path_;
    const auto* header = at<Elf64_Ehdr>(0);
    const auto* sections = at<Elf64_Shdr>(header->e_shoff);
    for (size_t i = 0; i < header->e_shnum; ++i) {
      const Elf64_Shdr& section = sections[i];
      if (section.sh_type != SHT_DYNSYM && section.sh_type != SHT_DYNAMIC) continue;
      const char* names = at<char>(sections[section.sh_link].sh_offset);
      if (section.sh_type == SHT_DYNSYM) {
        const auto* symbols = at<Elf64_Sym>(section.sh_offset);
        for (size_t s = 1; s < section.sh_size / sizeof *symbols; ++s) {
          if (symbols[s].st_shndx == SHN_UNDEF) imports_.insert(names + symbols[s].st_name);
        }
      } else {
        const auto* entries = at<Elf64_Dyn>(section.sh_offset);
        for (size_t e = 0; e < section.sh_size / sizeof *entries; ++e) {
          if (entries[e].d_tag == DT_NEEDED) needed_.insert(names + entries[e].d_un.d_val);
        }
      }
    }
  }

  std::string path_;
  std::string image_;
  std::set<std::string> imports_;
  std::set<std::string> needed_;
};

// The sanitizers' run-time libraries map memory and are needed by what they were compiled into.
inline constexpr bool kSanitized =
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    true;
#else
    false;
#endif

}  // namespace support
