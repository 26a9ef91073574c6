// The look for thread-specific data, against every key that a process can have (C15).
#include "sys/specific_data.h"

#include <limits.h>
#include <pthread.h>

#include <vector>

#include "support/support.h"
#include "support/threads.h"

namespace {

using inflight::sys::has_specific_data;

std::vector<pthread_key_t> all_keys() {
  std::vector<pthread_key_t> keys;
  for (pthread_key_t key; pthread_key_create(&key, nullptr) == 0;) keys.push_back(key);
  return keys;
}

TEST(SpecificData, AValueOfEachKeyIsSeenWhileItIsThere) {
  const std::vector<pthread_key_t> keys = all_keys();
  ASSERT_GT(keys.size(), PTHREAD_KEYS_MAX / 2);
  int seen = 0;
  int missed = 0;
  int imagined = 0;
  support::Thread thread([&] {
    if (has_specific_data()) {
      seen = -1;  // a sanitizer's own
      return;
    }
    for (const pthread_key_t key : keys) {
      pthread_setspecific(key, &seen);
      has_specific_data() ? ++seen : ++missed;
      pthread_setspecific(key, nullptr);
      if (has_specific_data()) ++imagined;
    }
  });
  thread.join();
  for (const pthread_key_t key : keys) pthread_key_delete(key);
  if (seen == -1) GTEST_SKIP() << "a new thread has data already";
  EXPECT_EQ(static_cast<int>(keys.size()), seen);
  EXPECT_EQ(0, missed);
  EXPECT_EQ(0, imagined);
}

TEST(SpecificData, AValueOfADeletedKeyIsNone) {
  pthread_key_t key;
  ASSERT_EQ(0, pthread_key_create(&key, nullptr));
  bool before = false;
  bool seen = true;
  support::Thread thread([&] {
    before = has_specific_data();
    pthread_setspecific(key, &key);
    pthread_key_delete(key);
    seen = has_specific_data();
  });
  thread.join();
  EXPECT_EQ(before, seen) << "no destructor will run for it";
}

// Without it every callback costs some microseconds more.
TEST(SpecificData, TheLibcSaysWhereItsBlocksAre) {
  EXPECT_TRUE(inflight::sys::knows_blocks_of_specific_data());
}

}  // namespace
