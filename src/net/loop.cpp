#include "net/loop.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <list>

namespace mp::net {

namespace asio = boost::asio;

struct Loop::Impl {
  asio::io_context context{1};
  asio::executor_work_guard<asio::io_context::executor_type> work{context.get_executor()};
  std::list<asio::signal_set> signal_sets;
};

Loop::Loop() : impl_(std::make_unique<Impl>()) {}
Loop::~Loop() = default;

void Loop::run() { impl_->context.run(); }
void Loop::poll() { impl_->context.poll(); }
void Loop::stop() { impl_->context.stop(); }
void Loop::post(std::function<void()> task) { asio::post(impl_->context, std::move(task)); }
asio::io_context& Loop::context() { return impl_->context; }

namespace {
void wait_for_signal(asio::signal_set& set, const std::shared_ptr<std::function<void(int)>>& handler) {
  set.async_wait([&set, handler](const boost::system::error_code& error, int signal) {
    if (error) return;
    (*handler)(signal);
    wait_for_signal(set, handler);
  });
}
}  // namespace

void Loop::on_signals(const std::vector<int>& signals, std::function<void(int)> handler) {
  auto& set = impl_->signal_sets.emplace_back(impl_->context);
  for (const int signal : signals) set.add(signal);
  wait_for_signal(set, std::make_shared<std::function<void(int)>>(std::move(handler)));
}

struct Timer::Impl {
  explicit Impl(Loop& loop) : timer(loop.context()) {}
  asio::steady_timer timer;
  bool set = false;
  std::uint64_t generation = 0;  // an expiry that was queued before a new set() must not run
};

Timer::Timer(Loop& loop) : impl_(std::make_shared<Impl>(loop)) {}
Timer::~Timer() { cancel(); }

void Timer::set(MonoTime deadline, std::function<void()> handler) {
  impl_->timer.expires_at(deadline);
  impl_->set = true;
  const auto generation = ++impl_->generation;
  impl_->timer.async_wait(
      [impl = impl_, generation, handler = std::move(handler)](const boost::system::error_code& error) {
        if (error || generation != impl->generation) return;
        impl->set = false;
        handler();
      });
}

void Timer::set_after(std::chrono::nanoseconds delay, std::function<void()> handler) {
  set(std::chrono::steady_clock::now() + delay, std::move(handler));
}

void Timer::cancel() {
  ++impl_->generation;
  impl_->set = false;
  impl_->timer.cancel();
}

bool Timer::is_set() const { return impl_->set; }

}  // namespace mp::net
