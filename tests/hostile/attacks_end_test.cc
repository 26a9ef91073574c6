// More programs that once broke a rule (attacks_test.cc): ways out of a wait, and descriptors that
// never end.
#include <arpa/inet.h>
#include <poll.h>
#include <setjmp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <termios.h>

#include "support/support.h"
#include "support/threads.h"

namespace {

using support::Descriptor;
using support::eventually;
using support::Handler;
using support::in_child;
using support::temporary_file;
using support::Thread;
using support::wait_for;

class C15_AttacksAtTheEnd : public support::Limited {};
class C16_AttacksAtTheEnd : public support::Limited {};
class C20_AttacksAtTheEnd : public support::Limited {};
class C22_AttacksAtTheEnd : public support::Limited {};

// ---------------------------------------------------------------- leaving close()

// A terminal whose other side does not read: a long write keeps a worker inside its system call.
struct Terminal {
  Descriptor master{posix_openpt(O_RDWR | O_NOCTTY)};
  Descriptor slave;
  Terminal() {
    if (grantpt(master.get()) != 0 || unlockpt(master.get()) != 0) abort();
    slave = Descriptor(open(ptsname(master.get()), O_RDWR | O_NOCTTY));
    termios settings{};
    tcgetattr(slave.get(), &settings);
    cfmakeraw(&settings);
    tcsetattr(slave.get(), TCSANOW, &settings);
  }
  // Waits up to `milliseconds` for something to read.
  void read_some(int milliseconds) const {
    pollfd state{master.get(), POLLIN, 0};
    if (poll(&state, 1, milliseconds) == 0) return;
    char some[4096];
    if (read(master.get(), some, sizeof some) < 0) abort();
  }
};

sigjmp_buf out_of_close;
void jump_out_of_close(int, siginfo_t*, void*) { siglongjmp(out_of_close, 1); }

// What the wait in close() linked must not stay behind in a frame that is gone.
__attribute__((noinline)) int bytes_changed_while(const std::function<void()>& action) {
  volatile unsigned char frame[4096];
  for (auto& byte : frame) byte = 0x5a;
  action();
  int changed = 0;
  for (auto& byte : frame) changed += byte != 0x5a ? 1 : 0;
  return changed;
}

TEST_F(C16_AttacksAtTheEnd, AHandlerMayJumpOutOfACloseThatWaits) {
  EXPECT_EQ(0, in_child([] {
              support::limit_runtime(std::chrono::seconds(20));
              const Terminal terminal;
              const int number = terminal.slave.get();
              std::string much(200'000, 'W');
              static aiocb block;
              block = support::block(number, much.data(), much.size());
              ASSERT_EQ(0, aio_write(&block));
              terminal.read_some(-1);  // a worker is inside
              const Handler handler(support::test_signal(), jump_out_of_close, SA_NODEFER);
              const pthread_t closing = pthread_self();
              std::optional<Thread> interrupter;
              if (sigsetjmp(out_of_close, 1) == 0) {
                interrupter.emplace([closing, id = gettid()] {
                  EXPECT_TRUE(eventually([id] { return support::thread_state(id) == 'S'; }));
                  pthread_kill(closing, support::test_signal());
                });
                close(number);  // lingers for a tenth of a second; jumping later is fine, too
                while (true) pause();
              }
              interrupter->join();
              EXPECT_EQ(0, bytes_changed_while([&] {
                          while (aio_error(&block) == EINPROGRESS) terminal.read_some(10);
                        }));
              // The number is not marked as being closed for ever.
              const Descriptor file = temporary_file("0123456789");
              ASSERT_EQ(number, dup2(file.get(), number));
              char bytes[4];
              aiocb reading = support::block(number, bytes, sizeof bytes);
              ASSERT_EQ(0, aio_read(&reading));
              EXPECT_EQ(0, wait_for(reading));
            }));
}

// The kernel frees the number first and then lets close(2) linger: the number's next owner must not
// wait for that.
TEST_F(C22_AttacksAtTheEnd, ACloseThatLingersDoesNotHoldUpTheNextFile) {
  const Descriptor listener(socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* plain = reinterpret_cast<sockaddr*>(&address);
  ASSERT_EQ(0, bind(listener.get(), plain, length));
  ASSERT_EQ(0, listen(listener.get(), 1));
  ASSERT_EQ(0, getsockname(listener.get(), plain, &length));
  Descriptor socket_(socket(AF_INET, SOCK_STREAM, 0));
  ASSERT_EQ(0, connect(socket_.get(), plain, length));
  const Descriptor peer(accept(listener.get(), nullptr, nullptr));
  const std::string much(1 << 20, 'm');
  while (send(socket_.get(), much.data(), much.size(), MSG_DONTWAIT) > 0) {
  }
  const linger patience = {1, 20};
  ASSERT_EQ(0, setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &patience, sizeof patience));
  const Descriptor file = temporary_file();
  char byte = 'x';
  aiocb first = support::block(file.get(), &byte, 1);
  ASSERT_EQ(0, aio_write(&first));  // the library is in use
  ASSERT_EQ(0, wait_for(first));
  const int number = socket_.release();
  std::atomic<bool> closed{false};
  Thread closer([&] {
    close(number);
    closed = true;
  });
  ASSERT_TRUE(eventually([&] { return fcntl(number, F_GETFD) < 0; }));
  ASSERT_EQ(number, fcntl(file.get(), F_DUPFD, number));
  for (int i = 0; i < 5; ++i) {
    aiocb block = support::block(number, &byte, 1);
    ASSERT_EQ(0, aio_write(&block));
    EXPECT_EQ(0, wait_for(block));
  }
  EXPECT_FALSE(closed) << "the close did not linger, so this proves nothing";
  close(number);
  // Lets the other close end.
  std::string taken(1 << 20, '\0');
  while (!closed) static_cast<void>(recv(peer.get(), taken.data(), taken.size(), MSG_DONTWAIT));
}

// ---------------------------------------------------------------- descriptors that never end

double processor_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

// A socket whose error queue holds something is ready for poll(2) for ever, and yet has no bytes.
TEST_F(C20_AttacksAtTheEnd, AnErrorQueueKeepsNoThreadBusy) {
  const Descriptor udp(socket(AF_INET, SOCK_DGRAM, 0));
  const int on = 1;
  ASSERT_EQ(0, setsockopt(udp.get(), IPPROTO_IP, IP_RECVERR, &on, sizeof on));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(1);  // nobody listens
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(0, connect(udp.get(), reinterpret_cast<sockaddr*>(&address), sizeof address));
  ASSERT_EQ(1, send(udp.get(), "x", 1, 0));
  pollfd state{udp.get(), 0, 0};
  ASSERT_EQ(1, poll(&state, 1, 10'000)) << "no error came";
  char bytes[16];
  aiocb block = support::block(udp.get(), bytes, sizeof bytes);
  ASSERT_EQ(0, aio_read(&block));
  EXPECT_EQ(ECONNREFUSED, wait_for(block));
  ASSERT_EQ(0, aio_read(&block));
  const double before = processor_seconds();
  usleep(400'000);
  EXPECT_LT(processor_seconds() - before, 0.2) << "of 0.4 seconds in which nothing happened";
  EXPECT_EQ(EINPROGRESS, aio_error(&block));
  EXPECT_EQ(AIO_CANCELED, aio_cancel(udp.get(), &block));
}

// The kernel's log is a regular file by its mode, and waits for news.
TEST_F(C22_AttacksAtTheEnd, ReadsOfTheKernelsLogHoldUpNothing) {
  EXPECT_EQ(0, in_child([] {
              support::limit_runtime(std::chrono::seconds(20));
              const int log = open("/proc/kmsg", O_RDONLY);
              if (log < 0) return;  // not allowed here
              std::vector<char> bytes(size_t{64} << 10);
              std::vector<aiocb> reads(40, support::block(log, bytes.data(), bytes.size()));
              for (aiocb& block : reads) ASSERT_EQ(0, aio_read(&block));
              const Descriptor file = temporary_file();
              aiocb writing = support::block(file.get(), bytes.data(), 100);
              ASSERT_EQ(0, aio_write(&writing));
              EXPECT_EQ(0, wait_for(writing));
              EXPECT_EQ(0, close(log));
            }));
}

// ---------------------------------------------------------------- the end of the program

int notice_of_a_list = 0;

void* submit_a_list(void*) {
  static const Descriptor file = temporary_file("0123456789");
  static char bytes[8];
  static aiocb block;
  block = support::block(file.get(), bytes, sizeof bytes);
  block.aio_lio_opcode = LIO_READ;
  aiocb* list[] = {&block};
  sigevent event{};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = notice_of_a_list;
  if (lio_listio(LIO_NOWAIT, list, 1, &event) != 0) _exit(3);
  return nullptr;
}

// Ends the process: with 0 if the list's notification comes once there is room for it.
void* make_room_later(void*) {
  usleep(5'000'000);  // a time in which the library must not give up; its idle threads do
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGRTMIN);
  const timespec none{0, 0};
  while (sigtimedwait(&set, nullptr, &none) > 0) {
  }
  sigemptyset(&set);
  sigaddset(&set, notice_of_a_list);
  const timespec longest{10, 0};
  _exit(sigtimedwait(&set, nullptr, &longest) == notice_of_a_list ? 0 : 4);
}

// A full signal queue refused it, and the first thread has ended: it must not be lost with the
// threads that the library lets go.
TEST_F(C15_AttacksAtTheEnd, AListsNotificationOutlivesTheFirstThread) {
  if (!support::in_role()) {
    EXPECT_EQ(0, support::in_new_program());
    return;
  }
  support::limit_runtime(std::chrono::seconds(30));
  notice_of_a_list = SIGRTMIN + 1;
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGRTMIN);
  sigaddset(&set, notice_of_a_list);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  const rlimit few = {50, 50};
  setrlimit(RLIMIT_SIGPENDING, &few);
  while (sigqueue(getpid(), SIGRTMIN, sigval{}) == 0) {
  }
  pthread_t one, other;
  pthread_create(&one, nullptr, submit_a_list, nullptr);
  pthread_create(&other, nullptr, make_room_later, nullptr);
  pthread_detach(one);
  pthread_detach(other);
  pthread_exit(nullptr);
}

}  // namespace
