// The life of a request from enrolment to the delivery of its notification. All functions run
// with Core::lock held, on any thread whose signals are blocked.
#include "core/core.h"

namespace inflight::core {
namespace {

size_t bucket_of(const FileKey& key) {
  return ((key.inode ^ key.device * 31) * 0x9e3779b97f4a7c15ULL) >> 52;  // 12 bits: kBuckets
}
static_assert(Core::kBuckets == 1U << 12);

File* find_or_make_file(Core& core, const FileKey& key) {
  File* file = find_file(core, key);
  if (file != nullptr) return file;
  file = core.files.take();
  if (file == nullptr) return nullptr;
  File*& bucket = core.buckets[bucket_of(key)];
  file->key = key;
  file->next_in_bucket = bucket;
  bucket = file;
  return file;
}

void leave_file_of(Core& core, Request& request, RequestQueue& ready) {
  File* file = request.file;
  leave_file(request, ready);
  request.file = nullptr;
  core.outstanding.fetch_sub(1);
  if (!file->all.empty()) return;
  File** place = &core.buckets[bucket_of(file->key)];
  while (*place != file) place = &(*place)->next_in_bucket;
  *place = file->next_in_bucket;
  file->next_in_bucket = nullptr;
  core.files.give(*file);
}

void fire(WaitLink*& head, Effects& effects) {
  while (head != nullptr) {
    WaitLink& link = *head;
    Waiter& waiter = *link.waiter;
    remove(link);
    // Release: the waiter sees the block's status. Its memory may go once it has seen the word,
    // but only after it has taken the lock, which is held here.
    waiter.fired.store(1, std::memory_order_release);
    effects.wake(waiter.fired);
  }
}

void free_group(Core& core, Group& group) {
  if (group.notice.what.attributes != nullptr) core.attributes.give(*group.notice.what.attributes);
  group.notice = {};
  core.groups.give(group);
}

}  // namespace

void Effects::wake(const sys::FutexWord& word) {
  for (int i = 0; i < wake_count; ++i) {
    if (wakes[i] == &word) return;
  }
  if (wake_count == kWakes) {
    sys::futex_wake(&word, 1);  // rare: more waiters than there is room for
    return;
  }
  wakes[wake_count++] = &word;
}

File* find_file(const Core& core, const FileKey& key) {
  File* file = core.buckets[bucket_of(key)];
  while (file != nullptr && !(file->key == key)) file = file->next_in_bucket;
  return file;
}

Request* find(Core& core, Ticket ticket) {
  Request* request = core.requests.at(static_cast<uint32_t>(ticket));
  if (request == nullptr || request->generation != ticket >> 32) return nullptr;
  return request->file != nullptr ? request : nullptr;
}

Request* find(Core& core, const aiocb& block) {
  Request* request = find(core, ticket_of(block));
  return request != nullptr && request->block == &block ? request : nullptr;
}

bool enroll(Core& core, Request& request, const FileKey& key) {
  File* file = find_or_make_file(core, key);
  if (file == nullptr) return false;
  request.file = file;
  request.state = State::waiting;
  file->all.push_back(request);
  request.in_lane = needs_lane(request);
  if (request.in_lane) lane_of(*file, request).push_back(request);
  core.outstanding.fetch_add(1);  // seq_cst: pairs with the close family's look (runtime/closing)
  return true;
}

void withdraw(Core& core, Request& request) {
  RequestQueue ready{};  // nothing can have come to stand behind it
  leave_file_of(core, request, ready);
  release_request(core, request);
}

void finish(Core& core, Request& request, int error, ssize_t result, Effects& effects) {
  Group* group = request.group;
  leave_file_of(core, request, effects.ready);
  request.state = State::settled;
  settle(*request.block, error, result);
  request.block = nullptr;  // the program's again
  fire(request.first_waiter, effects);
  if (group != nullptr) {
    if (error != 0) group->failed = true;
    if (--group->unfinished == 0) fire(group->first_waiter, effects);
  }
  request.notice.request = &request;
  if (request.notice.what.kind == Notification::Kind::none) {
    delivered(core, request.notice, effects);
  } else {
    effects.notices.push_back(request.notice);
  }
}

void delivered(Core& core, Notice& notice, Effects& effects) {
  if (notice.request == nullptr) {
    free_group(core, *notice.group);
    return;
  }
  Group* group = notice.request->group;
  release_request(core, *notice.request);
  if (group != nullptr) release_undelivered(core, *group, effects);
}

Request* take_notice(Core& core, const Notification& notification) {
  Request* request = core.requests.take();
  if (request == nullptr) return nullptr;
  request->state = State::settled;
  request->notice.what = notification;
  request->notice.request = request;
  return request;
}

Group* open_group(Core& core, const Notification& notification, bool is_awaited) {
  Group* group = core.groups.take();
  if (group == nullptr) return nullptr;
  group->unfinished = 1;
  group->undelivered = 1;
  group->failed = false;
  group->is_awaited = is_awaited;
  group->notice = {};
  group->notice.what = notification;
  group->notice.group = group;
  return group;
}

void release_undelivered(Core& core, Group& group, Effects& effects) {
  if (--group.undelivered != 0) return;
  if (group.notice.what.kind == Notification::Kind::none) {
    free_group(core, group);
  } else {
    effects.notices.push_back(group.notice);
  }
}

void release_request(Core& core, Request& request) {
  if (request.notice.what.attributes != nullptr) {
    core.attributes.give(*request.notice.what.attributes);
  }
  const uint32_t index = request.index;
  const uint32_t generation = request.generation + 1;
  request = {};
  request.index = index;
  request.generation = generation == 0 ? 1 : generation;
  core.requests.give(request);
}

}  // namespace inflight::core
