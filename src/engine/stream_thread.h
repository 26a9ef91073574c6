// The stream thread's own side: its loop, with the ring or with ppoll. Private to the engine.
#pragma once

#include "engine/process.h"
#include "engine/ring.h"

namespace inflight::engine {

class StreamThread {
 public:
  explicit StreamThread(Process& process) : process_(process) {}
  void run();

  // A turn without a ring, for two milliseconds at most: where no thread can be had.
  void stand_in();

 private:
  // With the ring.
  bool post_news_to_ring();  // false: the queue is full and more news wait
  bool post_poll(core::Request& request);
  bool post_positional(core::Request& request);
  bool post_removals();
  long wait_in_ring(uint32_t seen, bool idle);
  void turn_with_ring();
  void on_completion(const io_uring_cqe& completion);
  void give_up_ring();
  bool hands_over();
  void await_predecessor();

  // With ppoll.
  void take_news_for_poll();
  bool fill_poll_list(size_t& count);
  bool make_room(size_t count);
  void give_back_room();
  void ask_each();
  void turn_with_poll();
  long poll_pieces(size_t count, const timespec* timeout);

  // Both.
  void try_fresh();
  void rest(core::Request& request);
  void end_rest();
  const timespec* longest_wait(bool idle) const;
  void on_ready(core::Ticket ticket);
  void attempt(core::Request& request, bool ready);
  bool nothing_to_do() const;
  bool ends_when_idle();
  void publish_sync(uint32_t wanted);
  void sleepless() { process_.streams.sleeper.store(0); }

  Process& process_;
  Ring ring_{};
  bool use_ring_ = false;
  uint32_t removals_in_flight_ = 0;
  bool idle_turn_ = false;  // the last wait ended because nothing happened

  bool resting_ = false;  // Streams::resting holds something
  timespec rest_began_{};
  sys::NudgeTimer timer_{};
  bool has_timer_ = false;
  bool stands_in_ = false;

  pollfd* polled_ = nullptr;
  core::Ticket* tickets_ = nullptr;
  size_t capacity_ = 0;
};

}  // namespace inflight::engine
