// C9: what is served in call order. Appending writes; reads among themselves, and writes among
// themselves, of pipes, sockets and terminals; and that a stream write is whole.
//
// "glibc:" comments say how glibc 2.36 answers a test that it fails.
#include <numeric>

#include "support/kinds.h"
#include "support/outcome.h"
#include "support/support.h"
#include "support/threads.h"

namespace {

using support::count;
using support::Descriptor;
using support::drain;
using support::failed;
using support::Memory;
using support::NamedFile;
using support::Pipe;
using support::SocketPair;

class C09_Order : public support::Limited {};

// Numbered records of many sizes, and what they are one after the other.
class Records {
 public:
  explicit Records(int number, size_t largest = 300) {
    for (int i = 0; i < number; ++i) {
      const size_t size = 10 + static_cast<size_t>(i) * 7919 % largest;
      std::string record = "<" + std::to_string(i) + ">";
      record.resize(size, static_cast<char>('a' + i % 26));
      records_.push_back(record);
    }
  }
  size_t size() const { return records_.size(); }
  aiocb write_of(size_t i, int descriptor) {
    return support::block(descriptor, records_[i].data(), records_[i].size());
  }
  const std::string& operator[](size_t i) const { return records_[i]; }
  std::string all() const {
    return std::accumulate(records_.begin(), records_.end(), std::string());
  }

 private:
  std::vector<std::string> records_;
};

// Writes each record to one of the descriptors in turn, and waits for all.
void write_records(Records& records, const std::vector<int>& descriptors) {
  std::vector<aiocb> requests(records.size());
  for (size_t i = 0; i < records.size(); ++i) {
    requests[i] = records.write_of(i, descriptors[i % descriptors.size()]);
    ASSERT_EQ(0, aio_write(&requests[i]));
  }
  for (size_t i = 0; i < records.size(); ++i) {
    ASSERT_EQ(count(static_cast<ssize_t>(records[i].size())), support::outcome_of(requests[i]));
  }
}

// ---------------------------------------------------------------- appending

// "O_APPEND writes land in call order"
TEST_F(C09_Order, AppendingWritesLandInCallOrder) {
  for (int round = 0; round < 5; ++round) {
    NamedFile file;
    Records records(500);
    const Descriptor appending = file.open(O_WRONLY | O_APPEND);
    write_records(records, {appending.get()});
    ASSERT_TRUE(records.all() == file.content());
  }
}

// Large ones take long, and those behind them wait.
TEST_F(C09_Order, LargeAppendingWritesLandInCallOrder) {
  NamedFile file;
  Records records(100, 300'000);
  const Descriptor appending = file.open(O_WRONLY | O_APPEND);
  write_records(records, {appending.get()});
  EXPECT_TRUE(records.all() == file.content());
}

// Also through two descriptors of the file, or copies of one.
// glibc: serves two descriptors side by side; the order is anything.
TEST_F(C09_Order, AppendingWritesThroughTwoDescriptorsLandInCallOrder) {
  for (int round = 0; round < 5; ++round) {
    NamedFile file;
    Records records(500);
    const Descriptor one = file.open(O_WRONLY | O_APPEND), two = file.open(O_RDWR | O_APPEND);
    const Descriptor copy(fcntl(one.get(), F_DUPFD_CLOEXEC, 0));
    write_records(records, {one.get(), two.get(), copy.get()});
    ASSERT_TRUE(records.all() == file.content());
  }
}

// And with O_DIRECT, alone and beside one without it.
void append_directly(bool beside) {
  constexpr int kWrites = 300;
  constexpr size_t kPage = 4096;
  NamedFile file;
  const Descriptor direct = file.open(O_WRONLY | O_APPEND | O_DIRECT);
  const Descriptor cached = file.open(O_WRONLY | O_APPEND);
  Memory pages(kWrites * kPage);
  std::vector<aiocb> requests(kWrites);
  for (int i = 0; i < kWrites; ++i) {
    char* page = pages.get() + i * kPage;
    memcpy(page, &i, sizeof i);
    const bool through_cache = beside && i % 3 == 0;
    requests[i] = support::block(through_cache ? cached.get() : direct.get(), page, kPage);
    ASSERT_EQ(0, aio_write(&requests[i]));
  }
  for (aiocb& request : requests) ASSERT_EQ(count(kPage), support::outcome_of(request));
  EXPECT_TRUE(std::string(pages.get(), pages.size()) == file.content());
}

TEST_F(C09_Order, DirectAppendingWritesLandInCallOrder) { append_directly(false); }
TEST_F(C09_Order, DirectAndCachedAppendingWritesLandInCallOrder) { append_directly(true); }

// The offset has no meaning for them, whatever it is.
TEST_F(C09_Order, AppendingWritesLandAtTheEndWhateverTheOffset) {
  NamedFile file("start ");
  const Descriptor appending = file.open(O_WRONLY | O_APPEND);
  Records records(50);
  std::vector<aiocb> requests(records.size());
  for (size_t i = 0; i < records.size(); ++i) {
    requests[i] = records.write_of(i, appending.get());
    requests[i].aio_offset = static_cast<off_t>((records.size() - i) * 100);
    ASSERT_EQ(0, aio_write(&requests[i]));
  }
  for (aiocb& request : requests) EXPECT_EQ(0, support::wait_for(request));
  EXPECT_TRUE("start " + records.all() == file.content());
}

// From several threads: each one's own calls have an order.
TEST_F(C09_Order, EachThreadsAppendingWritesLandInItsOrder) {
  constexpr int kThreads = 4;
  NamedFile file;
  const Descriptor appending = file.open(O_WRONLY | O_APPEND);
  std::vector<std::unique_ptr<support::Thread>> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.push_back(std::make_unique<support::Thread>([&appending, t] {
      std::vector<std::string> lines(200);
      std::vector<aiocb> requests(lines.size());
      for (size_t i = 0; i < lines.size(); ++i) {
        lines[i] = std::string(1, static_cast<char>('A' + t)) + std::to_string(1000 + i) + "\n";
        requests[i] = support::block(appending.get(), lines[i].data(), lines[i].size());
        ASSERT_EQ(0, aio_write(&requests[i]));
      }
      for (aiocb& request : requests) EXPECT_EQ(count(6), support::outcome_of(request));
    }));
  }
  threads.clear();
  std::vector<int> next(kThreads, 1000);
  const std::string content = file.content();
  ASSERT_EQ(kThreads * 200U * 6U, content.size());
  for (size_t at = 0; at < content.size(); at += 6) {
    const int thread = content[at] - 'A';
    ASSERT_EQ(next[thread]++, std::stoi(content.substr(at + 1, 4)));
  }
}

// One that fails keeps nobody from following.
TEST_F(C09_Order, AFailedAppendingWriteLetsTheNextOnesPass) {
  NamedFile file;
  const Descriptor appending = file.open(O_WRONLY | O_APPEND);
  Records records(50);
  std::vector<aiocb> good(records.size()), bad(records.size());
  for (size_t i = 0; i < records.size(); ++i) {
    bad[i] = support::block(appending.get(), nullptr, 10);
    good[i] = records.write_of(i, appending.get());
    ASSERT_EQ(0, aio_write(&bad[i]));
    ASSERT_EQ(0, aio_write(&good[i]));
  }
  for (size_t i = 0; i < records.size(); ++i) {
    EXPECT_EQ(failed(EFAULT), support::outcome_of(bad[i]));
    EXPECT_EQ(0, support::wait_for(good[i]));
  }
  EXPECT_TRUE(records.all() == file.content());
}

// ---------------------------------------------------------------- reads of streams

// Reads of several sizes wait; then the bytes come in pieces. One after the other they must hold
// the stream, whatever each one got of it.
void expect_reads_in_order(int in, int out, const std::vector<int>& readers) {
  constexpr int kReads = 500;
  std::vector<std::string> buffers(kReads);
  std::vector<aiocb> requests(kReads);
  for (int i = 0; i < kReads; ++i) {
    buffers[i] = std::string(1 + i % 7, '-');
    requests[i] = support::block(readers[i % readers.size()], buffers[i].data(), buffers[i].size());
    ASSERT_EQ(0, aio_read(&requests[i]));
  }
  std::string sent, got;
  int finished = 0;
  while (finished < kReads) {
    // No more than the next read takes, so that none of them can be left waiting at the end.
    const std::string piece(1 + finished % 5, static_cast<char>('a' + finished % 26));
    ASSERT_EQ(static_cast<ssize_t>(piece.size()), write(in, piece.data(), piece.size()));
    sent += piece;
    while (got.size() < sent.size() && finished < kReads) {
      ASSERT_EQ(0, support::wait_for(requests[finished])) << finished;
      got += buffers[finished].substr(0, aio_return(&requests[finished]));
      ++finished;
    }
    if (finished + 1 < kReads) {
      ASSERT_EQ(EINPROGRESS, aio_error(&requests[kReads - 1]));
    }
  }
  got += drain(out, sent.size() - got.size());
  EXPECT_EQ(sent, got);
}

// "reads among themselves ... on pipes, sockets and terminals are served one after the other in
// call order"
TEST_F(C09_Order, PipeReadsAreServedInCallOrder) {
  Pipe pipe;
  expect_reads_in_order(pipe.writer.get(), pipe.reader.get(), {pipe.reader.get()});
}

TEST_F(C09_Order, SocketReadsAreServedInCallOrder) {
  SocketPair socket;
  expect_reads_in_order(socket.one.get(), socket.two.get(), {socket.two.get()});
  support::Connection tcp;
  expect_reads_in_order(tcp.one.get(), tcp.two.get(), {tcp.two.get()});
}

// The pipe is one, whatever the number of the descriptor.
// glibc: serves two descriptors side by side; the order is anything.
TEST_F(C09_Order, PipeReadsThroughACopiedDescriptorAreServedInCallOrder) {
  Pipe pipe;
  const Descriptor copy(dup(pipe.reader.get()));
  expect_reads_in_order(pipe.writer.get(), pipe.reader.get(), {pipe.reader.get(), copy.get()});
}

// When all the bytes are there before the reads are.
TEST_F(C09_Order, ReadsOfAReadyStreamAreServedInCallOrder) {
  Pipe pipe;
  SocketPair socket;
  const std::pair<int, int> ways[] = {{pipe.writer.get(), pipe.reader.get()},
                                      {socket.one.get(), socket.two.get()}};
  for (const auto& [in, out] : ways) {
    std::string sent(5000, '\0');
    for (size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<char>(i % 251);
    ASSERT_EQ(5000, write(in, sent.data(), sent.size()));
    std::vector<std::string> buffers(500, std::string(10, '-'));
    std::vector<aiocb> requests(500);
    for (size_t i = 0; i < 500; ++i) {
      requests[i] = support::block(out, buffers[i].data(), 10);
      ASSERT_EQ(0, aio_read(&requests[i]));
    }
    for (aiocb& request : requests) ASSERT_EQ(count(10), support::outcome_of(request));
    EXPECT_TRUE(sent == std::accumulate(buffers.begin(), buffers.end(), std::string()));
  }
}

// Messages and lines: the first to the first.
TEST_F(C09_Order, MessagesAndLinesGoToReadsInCallOrder) {
  SocketPair datagram(SOCK_DGRAM), packet(SOCK_SEQPACKET);
  support::Terminal terminal;
  const std::pair<int, int> ways[] = {{datagram.one.get(), datagram.two.get()},
                                      {packet.one.get(), packet.two.get()},
                                      {terminal.master.get(), terminal.slave.get()},
                                      {terminal.slave.get(), terminal.master.get()}};
  for (const auto& [in, out] : ways) {
    SCOPED_TRACE(testing::Message() << "from " << in << " to " << out);
    std::vector<std::string> buffers(200, std::string(5, '-'));
    std::vector<aiocb> requests(buffers.size());
    for (size_t i = 0; i < buffers.size(); ++i) {
      requests[i] = support::block(out, buffers[i].data(), 5);
      ASSERT_EQ(0, aio_read(&requests[i]));
    }
    for (size_t i = 0; i < buffers.size(); ++i) {
      const std::string line = std::to_string(1000 + i) + "\n";
      ASSERT_EQ(5, write(in, line.data(), 5));
      ASSERT_EQ(count(5), support::outcome_of(requests[i]));
      ASSERT_EQ(line, buffers[i]);
    }
  }
}

// One that fails keeps nobody from following.
TEST_F(C09_Order, AFailedReadLetsTheNextOnesPass) {
  SocketPair socket;
  char bytes[2] = {};
  aiocb first = support::block(socket.one.get(), &bytes[0], 1);
  aiocb bad = support::block(socket.one.get(), nullptr, 1);
  aiocb last = support::block(socket.one.get(), &bytes[1], 1);
  for (aiocb* request : {&first, &bad, &last}) ASSERT_EQ(0, aio_read(request));
  ASSERT_EQ(2, write(socket.two.get(), "12", 2));
  EXPECT_EQ(count(1), support::outcome_of(first));
  EXPECT_EQ(failed(EFAULT), support::outcome_of(bad));
  EXPECT_EQ(count(1), support::outcome_of(last));
  EXPECT_EQ("12", std::string(bytes, 2));
}

// ---------------------------------------------------------------- writes of streams

// Hundreds of writes, many larger than what fits, while nobody reads; then all is read.
void expect_writes_in_order(const std::vector<int>& writers, int out, size_t largest) {
  Records records(500, largest);
  std::vector<aiocb> requests(records.size());
  for (size_t i = 0; i < records.size(); ++i) {
    requests[i] = records.write_of(i, writers[i % writers.size()]);
    ASSERT_EQ(0, aio_write(&requests[i]));
  }
  const std::string all = records.all();
  EXPECT_TRUE(all == drain(out, all.size()));
  for (size_t i = 0; i < records.size(); ++i) {
    ASSERT_EQ(count(static_cast<ssize_t>(records[i].size())), support::outcome_of(requests[i]));
  }
}

// "and writes among themselves"
TEST_F(C09_Order, PipeWritesAreServedInCallOrder) {
  Pipe pipe;
  expect_writes_in_order({pipe.writer.get()}, pipe.reader.get(), 300);
  expect_writes_in_order({pipe.writer.get()}, pipe.reader.get(), 20'000);
}

TEST_F(C09_Order, SocketWritesAreServedInCallOrder) {
  SocketPair socket;
  expect_writes_in_order({socket.one.get()}, socket.two.get(), 20'000);
  support::Connection tcp;
  expect_writes_in_order({tcp.one.get()}, tcp.two.get(), 20'000);
}

// glibc: serves two descriptors side by side; the order is anything.
TEST_F(C09_Order, PipeWritesThroughACopiedDescriptorAreServedInCallOrder) {
  Pipe pipe;
  const Descriptor copy(dup(pipe.writer.get()));
  expect_writes_in_order({pipe.writer.get(), copy.get()}, pipe.reader.get(), 20'000);
}

TEST_F(C09_Order, TerminalWritesAreServedInCallOrder) {
  support::Terminal terminal;
  expect_writes_in_order({terminal.slave.get()}, terminal.master.get(), 300);
}

TEST_F(C09_Order, MessagesAreSentInCallOrder) {
  for (const int type : {SOCK_DGRAM, SOCK_SEQPACKET}) {
    SocketPair socket(type);
    Records records(300);
    std::vector<aiocb> requests(records.size());
    for (size_t i = 0; i < records.size(); ++i) {
      requests[i] = records.write_of(i, socket.one.get());
      ASSERT_EQ(0, aio_write(&requests[i]));
    }
    char message[1000];
    for (size_t i = 0; i < records.size(); ++i) {
      const ssize_t size = recv(socket.two.get(), message, sizeof message, 0);
      ASSERT_EQ(records[i], std::string(message, size));
      ASSERT_EQ(count(size), support::outcome_of(requests[i]));
    }
  }
}

// "A blocking stream write goes on until all is written."
void expect_whole(int in, int out, size_t size) {
  std::string bytes(size, '\0');
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 31 / 7);
  aiocb request = support::block(in, bytes.data(), size);
  ASSERT_EQ(0, aio_write(&request));
  // As long as more is to come than any buffer between here and there holds, it is not over.
  const std::string first = drain(out, 1000);
  EXPECT_EQ(EINPROGRESS, aio_error(&request));
  EXPECT_TRUE(bytes == first + drain(out, size - first.size()));
  EXPECT_EQ(count(static_cast<ssize_t>(size)), support::outcome_of(request));
}

TEST_F(C09_Order, AMegabyteIsWrittenWhole) {
  Pipe pipe;
  expect_whole(pipe.writer.get(), pipe.reader.get(), size_t{1} << 20);
  SocketPair socket;
  expect_whole(socket.one.get(), socket.two.get(), size_t{4} << 20);
  support::Connection tcp;
  expect_whole(tcp.one.get(), tcp.two.get(), size_t{32} << 20);
}

// Not a byte of the second comes between those of the first.
TEST_F(C09_Order, LargeWritesAreNotMixed) {
  Pipe pipe;
  SocketPair socket;
  const std::pair<int, int> ways[] = {{pipe.writer.get(), pipe.reader.get()},
                                      {socket.one.get(), socket.two.get()}};
  for (const auto& [in, out] : ways) {
    std::vector<std::string> bytes;
    std::vector<aiocb> requests(4);
    for (size_t i = 0; i < requests.size(); ++i) bytes.emplace_back(1 << 20, 'a' + i);
    for (size_t i = 0; i < requests.size(); ++i) {
      requests[i] = support::block(in, bytes[i].data(), bytes[i].size());
      ASSERT_EQ(0, aio_write(&requests[i]));
    }
    for (size_t i = 0; i < requests.size(); ++i) {
      EXPECT_TRUE(bytes[i] == drain(out, bytes[i].size()));
      EXPECT_EQ(count(1 << 20), support::outcome_of(requests[i]));
    }
  }
}

}  // namespace
