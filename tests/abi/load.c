/* Describes the process it is at the start of main: threads, open descriptors, allocated memory,
 * signals. check_load.sh compares the description with and without the library preloaded. Called
 * with an argument it also makes sure that the library really is there. */
#define _GNU_SOURCE
#include <aio.h>
#include <dirent.h>
#include <dlfcn.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>

static void list_directory(const char* path) {
  DIR* directory = opendir(path);
  struct dirent* entry;
  int count = 0;
  if (directory == NULL) {
    printf("%s: cannot be read\n", path);
    return;
  }
  while ((entry = readdir(directory)) != NULL) {
    if (entry->d_name[0] != '.') ++count;
  }
  printf("%s: %d\n", path, count);
  closedir(directory);
}

static void print_signals(void) {
  char line[256];
  FILE* status = fopen("/proc/self/status", "r");
  if (status == NULL) {
    printf("/proc/self/status: cannot be read\n");
    return;
  }
  while (fgets(line, sizeof line, status) != NULL) {
    if (strncmp(line, "Sig", 3) == 0 && strncmp(line, "SigQ", 4) != 0) fputs(line, stdout);
    if (strncmp(line, "Threads", 7) == 0) fputs(line, stdout);
  }
  fclose(status);
}

int main(int argc, char** argv) {
  const struct mallinfo2 heap = mallinfo2(); /* before stdio allocates */
  Dl_info where;
  (void)argv;
  if (argc > 1) {
    if (dladdr((void*)aio_read, &where) == 0 || strstr(where.dli_fname, "libinflight") == NULL) {
      printf("aio_read is not the library's\n");
      return 1;
    }
  }
  printf("heap: %zu bytes in %zu mappings\n", heap.uordblks, heap.hblks);
  list_directory("/proc/self/task");
  list_directory("/proc/self/fd");
  print_signals();
  return 0;
}
