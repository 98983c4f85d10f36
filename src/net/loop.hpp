#pragma once
// One thread's event loop: everything of a collector that is not a worker pool runs on one of these.
// A plain face for Boost.Asio, so that only .cpp files of net pay for its headers.

#include <functional>
#include <memory>
#include <vector>

#include "base/time.hpp"

namespace boost::asio {
class io_context;
}

namespace mp::net {

class Loop {
 public:
  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Runs handlers on this thread until stop().
  void run();
  // Runs what is ready now and comes back; for tests.
  void poll();
  void stop();                            // any thread
  void post(std::function<void()> task);  // any thread; runs on the loop's thread, in order

  // Calls `handler` on the loop for each arrival of one of the signals, until the loop dies.
  void on_signals(const std::vector<int>& signals, std::function<void(int)> handler);

  boost::asio::io_context& context();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// One deadline at a time: set() replaces the one before. Loop's thread only; must die before its loop.
class Timer {
 public:
  explicit Timer(Loop& loop);
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  void set(MonoTime deadline, std::function<void()> handler);
  void set_after(std::chrono::nanoseconds delay, std::function<void()> handler);
  void cancel();
  bool is_set() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace mp::net
