// The order of requests on one file. Called with the process lock held; touches nothing outside
// the file and its requests.
#include "core/file.h"

#include <fcntl.h>

namespace inflight::core {
namespace {

void release_if_startable(Request* request, RequestQueue& ready) {
  if (request == nullptr || request->state != State::waiting) return;
  if (!may_start(*request)) return;
  request->state = State::moving;
  ready.push_back(*request);
}

}  // namespace

bool needs_lane(const Request& request) {
  if (!request.is_transfer()) return false;
  if (request.kind == FileKind::stream) return true;
  return request.is_write() && (request.status_flags & O_APPEND) != 0 &&
         request.kind == FileKind::disk;
}

bool may_start(const Request& request) {
  if (!request.is_transfer()) return request.file->all.first() == &request;
  return !request.in_lane || lane_of(*request.file, request).first() == &request;
}

void leave_file(Request& request, RequestQueue& ready) {
  File& file = *request.file;
  file.all.remove(request);
  if (request.in_lane) {
    LaneRequests& lane = lane_of(file, request);
    lane.remove(request);
    request.in_lane = false;
    release_if_startable(lane.first(), ready);
  }
  Request* first = file.all.first();
  if (first != nullptr && !first->is_transfer()) release_if_startable(first, ready);
}

}  // namespace inflight::core
