// ACE's Proactor over POSIX AIO: file reads and writes, dispatched by several threads that run the
// proactor's event loop. Verifies the data, and says how many operations it made.
//
// ACE keeps one list of blocks that all its threads wait for in aio_suspend, and changes it
// meanwhile.
#include <ace/Asynch_IO.h>
#include <ace/Message_Block.h>
#include <ace/OS_NS_fcntl.h>
#include <ace/POSIX_Proactor.h>
#include <ace/Proactor.h>

#include <atomic>
#include <cstdio>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

namespace {

constexpr size_t kBlock = 4096;
constexpr int kChains = 16;  // operations outstanding at a time
constexpr int kBlocks = 24;  // that each chain writes, and reads back
constexpr int kThreads = 3;

std::atomic<int> wrong{0}, writes{0}, reads{0}, chains{kChains};

// Writes a block, reads it back, goes on to the next: each step begins in the completion of the
// last.
class Chain : public ACE_Handler {
 public:
  void start(ACE_HANDLE file, int number) {
    number_ = number;
    if (reader_.open(*this, file) != 0 || writer_.open(*this, file) != 0) ++wrong;
    write_next();
  }

  void handle_write_file(const ACE_Asynch_Write_File::Result& result) override {
    if (!result.success() || result.bytes_transferred() != kBlock) ++wrong;
    result.message_block().release();
    auto* block = new ACE_Message_Block(kBlock);
    ++reads;
    if (reader_.read(*block, kBlock, place()) != 0) ++wrong;
  }

  void handle_read_file(const ACE_Asynch_Read_File::Result& result) override {
    const std::vector<char> expected = content();
    if (!result.success() || result.bytes_transferred() != kBlock ||
        memcmp(result.message_block().rd_ptr(), expected.data(), kBlock) != 0) {
      ++wrong;
    }
    result.message_block().release();
    if (++step_ < kBlocks) {
      write_next();
    } else if (--chains == 0) {
      ACE_Proactor::instance()->proactor_end_event_loop();
    }
  }

 private:
  void write_next() {
    auto* block = new ACE_Message_Block(kBlock);
    block->copy(content().data(), kBlock);
    ++writes;
    if (writer_.write(*block, kBlock, place()) != 0) ++wrong;
  }
  u_long place() const { return static_cast<u_long>((step_ * kChains + number_) * kBlock); }
  std::vector<char> content() const {
    return std::vector<char>(kBlock, static_cast<char>('a' + (number_ + step_) % 26));
  }

  ACE_Asynch_Read_File reader_;
  ACE_Asynch_Write_File writer_;
  int number_ = 0;
  int step_ = 0;
};

ACE_POSIX_Proactor* proactor_of(const char* name) {
  if (strcmp(name, "signals") == 0) return new ACE_POSIX_SIG_Proactor;
  return new ACE_POSIX_AIOCB_Proactor(256);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  ACE_Proactor proactor(proactor_of(argv[2]), true);
  ACE_Proactor::instance(&proactor);
  const ACE_HANDLE file = ACE_OS::open(argv[1], O_CREAT | O_RDWR, 0600);
  if (file == ACE_INVALID_HANDLE) return 2;
  std::vector<std::unique_ptr<Chain>> all;
  for (int i = 0; i < kChains; ++i) all.push_back(std::make_unique<Chain>());
  for (int i = 0; i < kChains; ++i) all[static_cast<size_t>(i)]->start(file, i);
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([] { ACE_Proactor::instance()->proactor_run_event_loop(); });
  }
  for (std::thread& thread : threads) thread.join();
  ACE_OS::close(file);
  printf("writes %d reads %d wrong %d\n", writes.load(), reads.load(), wrong.load());
  fflush(stdout);
  _exit(wrong == 0 ? 0 : 1);  // the proactor is on the stack; ACE's own end would delete it again
}
