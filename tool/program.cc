// Reads the beginning of an ELF file; no more of the format than is needed for the answer.
#include "program.h"

#include <elf.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <vector>

#include "failure.h"

namespace tool {

namespace {

// As execvp searches; empty when it finds nothing.
std::string find(const std::string& program) {
  if (program.find('/') != std::string::npos) return program;
  const char* path = std::getenv("PATH");
  std::string rest = path != nullptr ? path : "/bin:/usr/bin";
  for (size_t end; !rest.empty(); rest.erase(0, end == std::string::npos ? end : end + 1)) {
    end = rest.find(':');
    const std::string directory = rest.substr(0, end);
    std::string candidate = (directory.empty() ? "." : directory) + "/" + program;
    if (access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return {};
}

[[noreturn]] void refuse(const std::string& program, const char* reason) {
  throw Failure(kCannotPrepare, fmt::format("{} {}", program, reason));
}

bool is_dynamic(std::ifstream& file, const Elf64_Ehdr& header) {
  std::vector<Elf64_Phdr> parts(header.e_phnum);
  file.seekg(static_cast<std::streamoff>(header.e_phoff));
  file.read(reinterpret_cast<char*>(parts.data()),
            static_cast<std::streamsize>(parts.size() * sizeof(Elf64_Phdr)));
  if (!file) return true;  // not for us to judge
  for (const Elf64_Phdr& part : parts) {
    if (part.p_type == PT_INTERP) return true;
  }
  return false;
}

// What a script's first line names, or an empty string.
std::string interpreter_of(std::ifstream& file) {
  file.clear();
  file.seekg(0);
  std::string line;
  std::getline(file, line);
  if (line.compare(0, 2, "#!") != 0) return {};
  const size_t begin = line.find_first_not_of(" \t", 2);
  if (begin == std::string::npos) return {};
  return line.substr(begin, line.find_first_of(" \t", begin) - begin);
}

void demand_servable(const std::string& path, int scripts) {
  struct stat status {};
  if (path.empty() || stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return;
  const bool changes_user = (status.st_mode & S_ISUID) != 0 && status.st_uid != geteuid();
  const bool changes_group = (status.st_mode & S_ISGID) != 0 && status.st_gid != getegid();
  if (changes_user || changes_group) {
    refuse(path, "is set-user-ID or set-group-ID: the dynamic linker preloads nothing into it");
  }
  std::ifstream file(path, std::ios::binary);
  Elf64_Ehdr header{};
  file.read(reinterpret_cast<char*>(&header), sizeof header);
  if (!file || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) {
    const std::string interpreter = interpreter_of(file);
    if (!interpreter.empty() && scripts > 0) demand_servable(interpreter, scripts - 1);
    return;
  }
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != EM_X86_64) {
    refuse(path, "is for another architecture: inflight is for 64-bit x86 programs");
  }
  if (header.e_phentsize == sizeof(Elf64_Phdr) && !is_dynamic(file, header)) {
    refuse(path, "is statically linked: its AIO cannot be replaced");
  }
}

}  // namespace

void demand_servable(const std::string& program) {
  constexpr int kScripts = 4;  // as many as the kernel follows
  demand_servable(find(program), kScripts);
}

bool is_shared_object(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  Elf64_Ehdr header{};
  file.read(reinterpret_cast<char*>(&header), sizeof header);
  return file && std::memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 && header.e_type == ET_DYN &&
         header.e_ident[EI_CLASS] == ELFCLASS64 && header.e_machine == EM_X86_64;
}

}  // namespace tool
