// An intrusive, doubly linked list whose all-zero state is the empty list.
//
// Everything that inflight keeps must be valid when its memory reads as zeros, because that is
// what a forked child finds (see runtime/state.h). So the ends are null pointers, not sentinels,
// and nothing here has a constructor. Elements belong to whoever made them; the list only links.
#pragma once

namespace inflight {

template <class T>
struct Link {
  T* previous;
  T* next;
};

template <class T, Link<T> T::*kLink>
class List {
 public:
  bool empty() const { return first_ == nullptr; }
  T* first() const { return first_; }
  T* last() const { return last_; }
  static T* next(const T& element) { return (element.*kLink).next; }
  static T* previous(const T& element) { return (element.*kLink).previous; }

  void push_back(T& element) {
    (element.*kLink) = {last_, nullptr};
    if (last_ != nullptr) {
      (last_->*kLink).next = &element;
    } else {
      first_ = &element;
    }
    last_ = &element;
  }

  void remove(T& element) {
    auto& link = element.*kLink;
    (link.previous != nullptr ? (link.previous->*kLink).next : first_) = link.next;
    (link.next != nullptr ? (link.next->*kLink).previous : last_) = link.previous;
    link = {nullptr, nullptr};
  }

  T* pop_front() {
    T* element = first_;
    if (element != nullptr) remove(*element);
    return element;
  }

 private:
  T* first_;
  T* last_;
};

}  // namespace inflight
