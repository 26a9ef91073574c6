// C24: credentials and limits that change after the first request. A later request runs with what
// the program has then, not with what a ring or a helper thread had when it was made.
//
// Two effects show whose credentials a transfer ran with: a write by an ordinary user takes the
// set-user-ID bit off a file, root's does not; and a socket with SO_PASSCRED names its sender.
#include <grp.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <fstream>

#include "support/support.h"
#include "support/threads.h"

namespace {

using support::Descriptor;
using support::in_child;
using support::NamedFile;
using support::Pipe;
using support::SocketPair;
using support::wait_for;

constexpr uid_t kNobody = 65534;

class C24_Credentials : public support::Limited {
 protected:
  void SetUp() override {
    Limited::SetUp();
    if (geteuid() != 0) GTEST_SKIP() << "only root can change its credentials";
  }
};

constexpr size_t kPiece = 4096;

// Whether the set-user-ID bit is still there after a write through AIO.
bool keeps_setuid_bit(const NamedFile& named, int file, char* aligned) {
  struct stat status {};
  aiocb writing = support::block(file, aligned, kPiece);
  EXPECT_EQ(0, aio_write(&writing));
  EXPECT_EQ(ssize_t{kPiece}, support::result_of(writing));
  EXPECT_EQ(0, stat(named.path().c_str(), &status));
  return (status.st_mode & S_ISUID) != 0;
}

// The effective user that a socket's other end sees behind an AIO write.
uid_t sender_seen(const SocketPair& sockets) {
  const int on = 1;
  setsockopt(sockets.two.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
  char byte = 's';
  aiocb writing = support::block(sockets.one.get(), &byte, 1);
  EXPECT_EQ(0, aio_write(&writing));
  EXPECT_EQ(0, wait_for(writing));
  iovec piece{&byte, 1};
  alignas(cmsghdr) char control[256];
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  EXPECT_EQ(1, recvmsg(sockets.two.get(), &message, 0));
  for (cmsghdr* one = CMSG_FIRSTHDR(&message); one != nullptr; one = CMSG_NXTHDR(&message, one)) {
    if (one->cmsg_type != SCM_CREDENTIALS) continue;
    ucred sender{};
    memcpy(&sender, CMSG_DATA(one), sizeof sender);
    EXPECT_EQ(getpid(), sender.pid);
    return sender.uid;
  }
  ADD_FAILURE() << "no credentials came";
  return 0;
}

// Starts every helper there is while the process is still root.
void warm_up() {
  Descriptor file = support::temporary_file("content");
  Pipe pipe;
  static std::atomic<bool> called;
  called = false;
  std::vector<char> large(size_t{2} << 20, 'l');
  aiocb writing = support::block(file.get(), large.data(), large.size());
  ASSERT_EQ(0, aio_write(&writing));
  EXPECT_EQ(0, wait_for(writing));
  char byte;
  aiocb waiting = support::block(pipe.reader.get(), &byte, 1);
  waiting.aio_sigevent = support::callback_event([](sigval) { called = true; }, nullptr);
  ASSERT_EQ(0, aio_read(&waiting));
  EXPECT_EQ(1, write(pipe.writer.get(), "x", 1));
  EXPECT_EQ(0, wait_for(waiting));
  EXPECT_TRUE(support::eventually([] { return called.load(); }));
}

// Root's write keeps the bit; after `change`, an ordinary user's does not.
void write_follows(int flags, const std::function<void()>& change) {
  const NamedFile named;  // removed by this process, which stays root
  EXPECT_EQ(0, in_child([&] {
              support::limit_runtime(std::chrono::seconds(30));
              Descriptor file = named.open(O_RDWR | flags);
              if (file.get() < 0)
                return;  // a file system without O_DIRECT: the other flags are tested
              auto* aligned = static_cast<char*>(aligned_alloc(4096, kPiece));
              memset(aligned, 'c', kPiece);
              warm_up();
              ASSERT_EQ(0, chmod(named.path().c_str(), 04755));
              ASSERT_TRUE(keeps_setuid_bit(named, file.get(), aligned)) << "as root";
              change();
              EXPECT_FALSE(keeps_setuid_bit(named, file.get(), aligned))
                  << "written with root's rights";
              free(aligned);
            }));
}

void become_nobody() {
  EXPECT_EQ(0, setgroups(0, nullptr));
  EXPECT_EQ(0, setresgid(kNobody, kNobody, kNobody));
  EXPECT_EQ(0, setresuid(kNobody, kNobody, kNobody));
}

TEST_F(C24_Credentials, AFileWriteFollowsSetuid) {
  write_follows(0, [] { EXPECT_EQ(0, setuid(kNobody)); });
}
TEST_F(C24_Credentials, AFileWriteFollowsSeteuid) {
  write_follows(0, [] { EXPECT_EQ(0, seteuid(kNobody)); });
}
TEST_F(C24_Credentials, AFileWriteFollowsSetresuidWithGroups) { write_follows(0, become_nobody); }
TEST_F(C24_Credentials, AnAppendFollowsSetresuid) { write_follows(O_APPEND, become_nobody); }
TEST_F(C24_Credentials, ADirectWriteFollowsSetresuid) { write_follows(O_DIRECT, become_nobody); }
TEST_F(C24_Credentials, ASynchronousWriteFollowsSetresuid) { write_follows(O_SYNC, become_nobody); }

TEST_F(C24_Credentials, ASocketsSenderFollowsSetuidAndBack) {
  EXPECT_EQ(0, in_child([] {
              support::limit_runtime(std::chrono::seconds(30));
              SocketPair sockets;
              warm_up();
              EXPECT_EQ(0U, sender_seen(sockets));
              ASSERT_EQ(0, setresuid(kNobody, kNobody, 0));
              EXPECT_EQ(kNobody, sender_seen(sockets));
              ASSERT_EQ(0, setresuid(0, 0, 0));
              EXPECT_EQ(0U, sender_seen(sockets));
            }));
}

// A helper that cannot answer glibc's own signal would make setuid wait for ever.
TEST_F(C24_Credentials, SetuidReturnsWhileReadsWaitAndTheyGoOn) {
  EXPECT_EQ(0, in_child([] {
              support::limit_runtime(std::chrono::seconds(30));
              warm_up();
              Pipe pipe;
              Pipe full;
              char bytes[8];
              std::vector<aiocb> blocks;
              for (char& byte : bytes)
                blocks.push_back(support::block(pipe.reader.get(), &byte, 1));
              for (aiocb& block : blocks) ASSERT_EQ(0, aio_read(&block));
              std::string large(size_t{1} << 20, 'l');
              aiocb stuck = support::block(full.writer.get(), large.data(), large.size());
              ASSERT_EQ(0, aio_write(&stuck));
              become_nobody();
              EXPECT_EQ(kNobody, getuid());
              for (const aiocb& block : blocks) EXPECT_EQ(EINPROGRESS, aio_error(&block));
              EXPECT_EQ(8, write(pipe.writer.get(), "12345678", 8));
              for (const aiocb& block : blocks) EXPECT_EQ(0, wait_for(block));
              EXPECT_EQ(large.size(), support::drain(full.reader.get(), large.size()).size());
              EXPECT_EQ(0, wait_for(stuck));
            }));
}

TEST_F(C24_Credentials, ASignalsSenderFollowsSetuid) {
  EXPECT_EQ(0, in_child([] {
              support::limit_runtime(std::chrono::seconds(30));
              warm_up();
              ASSERT_EQ(0, setresuid(kNobody, kNobody, kNobody));
              support::BlockedSignal signal(support::test_signal());
              Pipe pipe;
              char byte;
              aiocb reading = support::block(pipe.reader.get(), &byte, 1);
              reading.aio_sigevent = support::signal_event(support::test_signal());
              ASSERT_EQ(0, aio_read(&reading));
              EXPECT_EQ(1, write(pipe.writer.get(), "x", 1));
              siginfo_t info{};
              ASSERT_TRUE(signal.take(&info));
              EXPECT_EQ(kNobody, info.si_uid);
            }));
}

// ---------------------------------------------------------------- limits

// A request that may be refused with EAGAIN where something is exhausted, but must not hang.
void expect_served_or_refused(int answer, aiocb& block, ssize_t expected) {
  if (answer != 0) {
    EXPECT_EQ(EAGAIN, errno);
    return;
  }
  EXPECT_EQ(expected, support::result_of(block));
}

long address_space() {
  long pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  return pages * 4096;
}

TEST_F(C24_Credentials, RequestsWorkWithLittleAddressSpaceLeft) {
  EXPECT_EQ(0, in_child([] {
              support::limit_runtime(std::chrono::seconds(30));
              const auto size = static_cast<rlim_t>(address_space());
              const rlimit tight{size + (24U << 20), size + (24U << 20)};
              ASSERT_EQ(0, setrlimit(RLIMIT_AS, &tight));
              Descriptor file = support::temporary_file("0123456789");
              Pipe pipe;
              char buffer[4];
              aiocb reading = support::block(file.get(), buffer, 4);
              ASSERT_EQ(0, aio_read(&reading)) << strerror(errno);
              EXPECT_EQ(4, support::result_of(reading));
              aiocb waiting = support::block(pipe.reader.get(), buffer, 1);
              ASSERT_EQ(0, aio_read(&waiting)) << strerror(errno);
              EXPECT_EQ(1, write(pipe.writer.get(), "x", 1));
              EXPECT_EQ(1, support::result_of(waiting));
            }));
}

TEST_F(C24_Credentials, NothingHangsOrCrashesWithNoAddressSpaceLeft) {
  EXPECT_EQ(0, in_child([] {
              support::limit_runtime(std::chrono::seconds(30));
              Descriptor file = support::temporary_file("0123456789");
              Pipe pipe;
              char buffer[4];
              const rlimit none{1, 1};
              ASSERT_EQ(0, setrlimit(RLIMIT_AS, &none));
              ASSERT_EQ(MAP_FAILED,
                        mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
              aiocb reading = support::block(file.get(), buffer, 4);
              expect_served_or_refused(aio_read(&reading), reading, 4);
              EXPECT_EQ(1, write(pipe.writer.get(), "x", 1));
              aiocb waiting = support::block(pipe.reader.get(), buffer, 1);
              expect_served_or_refused(aio_read(&waiting), waiting, 1);
            }));
}

TEST_F(C24_Credentials, NothingHangsWhenNoThreadCanBeStarted) {
  EXPECT_EQ(0, in_child([] {
              support::limit_runtime(std::chrono::seconds(30));
              Descriptor file = support::temporary_file(std::string(size_t{1} << 20, 'f'));
              Pipe pipe;
              const auto id = static_cast<uid_t>(200000 + getpid());
              ASSERT_EQ(0, setresuid(id, id, id));
              const rlimit one{1, 1};
              ASSERT_EQ(0, setrlimit(RLIMIT_NPROC, &one));
              ASSERT_EQ(-1, fork()) << "the limit does not hold";
              std::vector<char> large(size_t{1} << 20);
              aiocb reading = support::block(file.get(), large.data(), 4096);
              expect_served_or_refused(aio_read(&reading), reading, 4096);
              aiocb writing = support::block(file.get(), large.data(), large.size());
              expect_served_or_refused(aio_write(&writing), writing,
                                       static_cast<ssize_t>(large.size()));
              EXPECT_EQ(1, write(pipe.writer.get(), "x", 1));
              char byte;
              aiocb waiting = support::block(pipe.reader.get(), &byte, 1);
              expect_served_or_refused(aio_read(&waiting), waiting, 1);
              aiocb syncing = support::block(file.get(), nullptr, 0);
              const int answer = aio_fsync(O_SYNC, &syncing);
              expect_served_or_refused(answer, syncing, 0);
            }));
}

// As above, but the process has made requests before, so that the library can promise.
TEST_F(C24_Credentials, StreamsAreServedWhileNoThreadCanBeStarted) {
  EXPECT_EQ(0, in_child([] {
              support::limit_runtime(std::chrono::seconds(30));
              const Descriptor file = support::temporary_file("f");
              char bytes[64] = {};
              aiocb first = support::block(file.get(), bytes, 1, 0);
              ASSERT_EQ(0, aio_write(&first));
              ASSERT_EQ(0, wait_for(first));
              const auto id = static_cast<uid_t>(200000 + getpid());
              ASSERT_EQ(0, setresuid(id, id, id));
              const rlimit one{1, 1};
              ASSERT_EQ(0, setrlimit(RLIMIT_NPROC, &one));
              ASSERT_EQ(-1, fork()) << "the limit does not hold";
              for (int round = 0; round < 20; ++round) {
                Pipe pipe;
                support::SocketPair sockets;
                aiocb requests[4];
                for (int i = 0; i < 2; ++i) {
                  requests[i] = support::block(pipe.reader.get(), &bytes[i], 1);
                  requests[2 + i] = support::block(sockets.one.get(), &bytes[2 + i], 1);
                }
                for (aiocb& request : requests) ASSERT_EQ(0, aio_read(&request));
                ASSERT_EQ(2, write(pipe.writer.get(), "ab", 2));
                ASSERT_EQ(1, write(sockets.two.get(), "c", 1));
                for (int i = 0; i < 3; ++i) EXPECT_EQ(0, wait_for(requests[i])) << i;
                EXPECT_EQ("abc", std::string(bytes, 3));
                if (round % 2 == 0) {
                  EXPECT_EQ(AIO_CANCELED, aio_cancel(sockets.one.get(), &requests[3]));
                } else {
                  sockets.one.reset();
                }
                EXPECT_EQ(ECANCELED, wait_for(requests[3]));
              }
            }));
}

}  // namespace
