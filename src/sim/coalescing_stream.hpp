#pragma once
// A stream whose writes go into memory and reach the socket together: thousands of small websocket messages
// become a few large writes. Included by server.cpp only.

#include <boost/asio.hpp>
#include <memory>
#include <string>
#include <utility>

namespace mp::sim {

template <class Next>
class CoalescingStream {
 public:
  using next_layer_type = Next;
  using executor_type = typename Next::executor_type;
  using error_code = boost::system::error_code;

  template <class... Args>
  explicit CoalescingStream(Args&&... args) : next_(std::forward<Args>(args)...) {}

  // What must stay alive while a write is under way: the object that this stream is a part of.
  void set_owner(std::weak_ptr<void> owner) { owner_ = std::move(owner); }

  executor_type get_executor() noexcept { return next_.get_executor(); }
  Next& next_layer() noexcept { return next_; }

  // Bytes written by the user and not yet taken by the kernel.
  std::size_t pending() const { return gathered_.size() + wire_.size(); }

  // Starts writing what has been gathered, unless a write is under way (which goes on with it by itself).
  void flush() {
    if (writing_ || gathered_.empty() || error_) return;
    std::swap(gathered_, wire_);
    writing_ = true;
    boost::asio::async_write(next_, boost::asio::buffer(wire_),
                             [this, owner = owner_.lock()](error_code error, std::size_t) { written(error); });
  }

  template <class Buffers, class Token>
  auto async_read_some(const Buffers& buffers, Token&& token) {
    return next_.async_read_some(buffers, std::forward<Token>(token));
  }
  template <class Buffers>
  std::size_t read_some(const Buffers& buffers, error_code& error) {
    return next_.read_some(buffers, error);
  }
  template <class Buffers>
  std::size_t read_some(const Buffers& buffers) {
    return next_.read_some(buffers);
  }

  template <class Buffers>
  std::size_t write_some(const Buffers& buffers, error_code& error) {
    error = error_;
    return error_ ? 0 : gather(buffers);
  }
  template <class Buffers>
  std::size_t write_some(const Buffers& buffers) {
    error_code error;
    const auto n = write_some(buffers, error);
    if (error) throw boost::system::system_error(error);
    return n;
  }
  // Completes at once; Beast writes answers, pongs and close frames this way.
  template <class Buffers, class Token>
  auto async_write_some(const Buffers& buffers, Token&& token) {
    error_code error;
    const auto n = write_some(buffers, error);
    flush();
    return boost::asio::async_initiate<Token, void(error_code, std::size_t)>(
        [executor = get_executor()](auto handler, error_code result, std::size_t size) {
          boost::asio::post(executor, boost::asio::append(std::move(handler), result, size));
        },
        token, error, n);
  }

  // Calls `then` when nothing is unsent any more.
  template <class Then>
  void when_drained(Then then) {
    if (pending() == 0 || error_) {
      then();
      return;
    }
    waiter_ = std::make_unique<WaiterOf<Then>>(std::move(then));
    flush();
  }

 private:
  struct Waiter {
    virtual ~Waiter() = default;
    virtual void run() = 0;
  };
  template <class Then>
  struct WaiterOf final : Waiter {
    explicit WaiterOf(Then t) : then(std::move(t)) {}
    void run() override { then(); }
    Then then;
  };

  template <class Buffers>
  std::size_t gather(const Buffers& buffers) {
    std::size_t n = 0;
    for (auto it = boost::asio::buffer_sequence_begin(buffers); it != boost::asio::buffer_sequence_end(buffers); ++it) {
      const boost::asio::const_buffer buffer(*it);
      gathered_.append(static_cast<const char*>(buffer.data()), buffer.size());
      n += buffer.size();
    }
    return n;
  }

  void written(error_code error) {
    writing_ = false;
    wire_.clear();
    if (error) {
      error_ = error;
      gathered_.clear();
    }
    flush();
    if (pending() == 0 && waiter_) std::exchange(waiter_, nullptr)->run();
  }

  Next next_;
  std::weak_ptr<void> owner_;
  std::string gathered_;
  std::string wire_;  // being written
  bool writing_ = false;
  error_code error_;
  std::unique_ptr<Waiter> waiter_;
};

}  // namespace mp::sim
