// The small parts by themselves: the list, the slab, the close marks, the waiters' links.
#include <thread>

#include "core/closing.h"
#include "core/core.h"
#include "support/support.h"

namespace {

using inflight::Link;
using inflight::List;
using inflight::core::Closing;

struct Node {
  int value = 0;
  Link<Node> link{};
};
using Nodes = List<Node, &Node::link>;

TEST(Parts, AZeroedListIsEmptyAndKeepsOrder) {
  Nodes list{};
  EXPECT_TRUE(list.empty());
  EXPECT_EQ(nullptr, list.pop_front());
  Node nodes[3];
  for (int i = 0; i < 3; ++i) {
    nodes[i].value = i;
    list.push_back(nodes[i]);
  }
  EXPECT_EQ(&nodes[1], Nodes::next(nodes[0]));
  EXPECT_EQ(&nodes[1], Nodes::previous(nodes[2]));
  list.remove(nodes[1]);
  EXPECT_EQ(&nodes[2], Nodes::next(nodes[0]));
  EXPECT_EQ(&nodes[0], list.pop_front());
  EXPECT_EQ(&nodes[2], list.last());
  list.remove(nodes[2]);
  EXPECT_TRUE(list.empty());
}

struct Item {
  uint32_t index;
  Item* next_free;
};

TEST(Parts, ASlabsIndexNamesTheSameObjectForEver) {
  auto slab = std::make_unique<inflight::core::Slab<Item, 4, 8>>();
  std::vector<Item*> items;
  for (int i = 0; i < 32; ++i) {
    items.push_back(slab->take());
    ASSERT_NE(nullptr, items.back());
    EXPECT_EQ(items.back(), slab->at(items.back()->index));
  }
  EXPECT_EQ(nullptr, slab->take());  // its bound
  volatile uint32_t never_given = 32;
  EXPECT_EQ(nullptr, slab->at(never_given));
  EXPECT_EQ(32U, slab->in_use());
  slab->give(*items[7]);
  EXPECT_EQ(items[7], slab->at(items[7]->index));
  EXPECT_EQ(items[7], slab->take());
}

TEST(Parts, AMarkCoversItsRangeOnly) {
  auto closing = std::make_unique<Closing>();
  EXPECT_EQ(Closing::Cover::none, closing->cover(0));
  const int mark = closing->begin(5, 7);
  for (const int fd : {5, 6, 7}) EXPECT_EQ(Closing::Cover::by_this_thread, closing->cover(fd));
  for (const int fd : {0, 4, 8, -1}) EXPECT_EQ(Closing::Cover::none, closing->cover(fd));
  std::thread([&] { EXPECT_EQ(Closing::Cover::being_settled, closing->cover(6)); }).join();
  closing->enter(mark);
  std::thread([&] { EXPECT_EQ(Closing::Cover::being_closed, closing->cover(6)); }).join();
  closing->end(mark);
  EXPECT_EQ(Closing::Cover::none, closing->cover(6));
}

TEST(Parts, AMarkReachesToTheLastDescriptor) {
  auto closing = std::make_unique<Closing>();
  closing->begin(3, ~0U);
  EXPECT_EQ(Closing::Cover::none, closing->cover(2));
  EXPECT_EQ(Closing::Cover::by_this_thread, closing->cover(3));
  EXPECT_EQ(Closing::Cover::by_this_thread, closing->cover(INT32_MAX));
}

TEST(Parts, WithoutAFreeMarkEverythingIsCovered) {
  auto closing = std::make_unique<Closing>();
  std::vector<int> marks;
  for (int i = 0; i <= Closing::kMarks; ++i) marks.push_back(closing->begin(100, 100));
  EXPECT_EQ(Closing::kMarks, marks.back());
  EXPECT_EQ(Closing::Cover::being_closed, closing->cover(1));
  for (const int mark : marks) closing->end(mark);
  EXPECT_EQ(Closing::Cover::none, closing->cover(1));
}

TEST(Parts, LinksOfAWaiterLeaveInAnyOrder) {
  inflight::core::Waiter waiter{};
  inflight::core::WaitLink* head = nullptr;
  inflight::core::WaitLink links[3];
  for (auto& link : links) inflight::core::insert(link, waiter, head);
  inflight::core::remove(links[1]);
  inflight::core::remove(links[1]);  // in no list: nothing happens
  inflight::core::remove(links[2]);
  EXPECT_EQ(&links[0], head);
  inflight::core::remove(links[0]);
  EXPECT_EQ(nullptr, head);
}

TEST(Parts, ARequestStaysSmall) { EXPECT_LE(sizeof(inflight::core::Request), 256U); }

}  // namespace
