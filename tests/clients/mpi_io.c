/* Nonblocking MPI-IO: every rank writes blocks of its own that lie between those of the others,
 * many at a time, and then reads and checks another rank's. Says how many requests it made. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { kBlock = 8192, kBlocks = 64, kInts = kBlock / (int)sizeof(int) };

static int wrong = 0;

static void check(int result, const char* what) {
  if (result == MPI_SUCCESS) return;
  fprintf(stderr, "%s failed: %d\n", what, result);
  MPI_Abort(MPI_COMM_WORLD, 3);
}

static void fill(int* block, int rank, int number, int round) {
  for (int i = 0; i < kInts; ++i) block[i] = rank * 1000003 + number * 1009 + i * 7 + round;
}

static MPI_Offset place(int rank, int number, int ranks) {
  return ((MPI_Offset)number * ranks + rank) * kBlock;
}

/* All blocks by explicit offset, all outstanding at once. */
static void write_all(MPI_File file, int rank, int ranks, int round, int* data) {
  MPI_Request requests[kBlocks];
  for (int i = 0; i < kBlocks; ++i) {
    fill(data + i * kInts, rank, i, round);
    check(MPI_File_iwrite_at(file, place(rank, i, ranks), data + i * kInts, kInts, MPI_INT,
                             &requests[i]),
          "MPI_File_iwrite_at");
  }
  check(MPI_Waitall(kBlocks, requests, MPI_STATUSES_IGNORE), "MPI_Waitall");
}

/* The blocks of `whose`, by MPI_Test in a loop. */
static void read_all(MPI_File file, int whose, int ranks, int round, int* data) {
  MPI_Request requests[kBlocks];
  int expected[kInts];
  for (int i = 0; i < kBlocks; ++i) {
    memset(data + i * kInts, 0, kBlock);
    check(MPI_File_iread_at(file, place(whose, i, ranks), data + i * kInts, kInts, MPI_INT,
                            &requests[i]),
          "MPI_File_iread_at");
  }
  for (int left = kBlocks; left > 0;) {
    int index, done;
    MPI_Status status;
    check(MPI_Testany(kBlocks, requests, &index, &done, &status), "MPI_Testany");
    if (!done || index == MPI_UNDEFINED) continue;
    int count = 0;
    MPI_Get_count(&status, MPI_INT, &count);
    fill(expected, whose, index, round);
    if (count != kInts || memcmp(expected, data + index * kInts, kBlock) != 0) {
      fprintf(stderr, "block %d of rank %d is wrong (%d integers)\n", index, whose, count);
      ++wrong;
    }
    --left;
  }
}

/* The file's own pointer, one request after the other, through a view. */
static void by_pointer(MPI_File file, int rank, int ranks, int* data) {
  const MPI_Offset end = place(0, kBlocks, ranks);
  check(MPI_File_set_view(file, end + (MPI_Offset)rank * 4 * kBlock, MPI_INT, MPI_INT, "native",
                          MPI_INFO_NULL),
        "MPI_File_set_view");
  for (int i = 0; i < 4; ++i) {
    MPI_Request request;
    fill(data, rank, i, 99);
    check(MPI_File_iwrite(file, data, kInts, MPI_INT, &request), "MPI_File_iwrite");
    check(MPI_Wait(&request, MPI_STATUS_IGNORE), "MPI_Wait");
  }
  check(MPI_File_seek(file, 0, MPI_SEEK_SET), "MPI_File_seek");
  for (int i = 0; i < 4; ++i) {
    MPI_Request request;
    memset(data, 0, kBlock);
    check(MPI_File_iread(file, data, kInts, MPI_INT, &request), "MPI_File_iread");
    check(MPI_Wait(&request, MPI_STATUS_IGNORE), "MPI_Wait");
    fill(data + kInts, rank, i, 99);
    if (memcmp(data, data + kInts, kBlock) != 0) ++wrong;
  }
}

int main(int argc, char** argv) {
  int rank, ranks, all_wrong = 0;
  MPI_File file;
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  int* data = malloc((size_t)kBlocks * kBlock);
  check(
      MPI_File_open(MPI_COMM_WORLD, argv[1], MPI_MODE_CREATE | MPI_MODE_RDWR, MPI_INFO_NULL, &file),
      "MPI_File_open");
  for (int round = 0; round < 3; ++round) {
    write_all(file, rank, ranks, round, data);
    check(MPI_File_sync(file), "MPI_File_sync");
    MPI_Barrier(MPI_COMM_WORLD);
    read_all(file, (rank + 1) % ranks, ranks, round, data);
    MPI_Barrier(MPI_COMM_WORLD);
  }
  by_pointer(file, rank, ranks, data);
  check(MPI_File_close(&file), "MPI_File_close");
  MPI_Reduce(&wrong, &all_wrong, 1, MPI_INT, MPI_SUM, 0, MPI_COMM_WORLD);
  if (rank == 0) {
    printf("ranks %d writes %d reads %d wrong %d\n", ranks, ranks * (3 * kBlocks + 4),
           ranks * (3 * kBlocks + 4), all_wrong);
  }
  free(data);
  MPI_Finalize();
  return wrong != 0;
}
