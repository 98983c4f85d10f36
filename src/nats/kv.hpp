#pragma once
// A NATS key-value bucket (a stream KV_<bucket> with one subject per key, history 1), and a lease on it.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/time.hpp"
#include "nats/jetstream.hpp"

namespace mp::nats {

struct KeyValueEntry {
  std::string value;
  std::uint64_t revision = 0;
  WallTime written_at;  // by the server's clock
};

// Keys consist of letters, digits and - _ / = . (no leading or trailing dot).
// Runs on: any thread; every call blocks.
class KeyValue {
 public:
  // Makes the bucket when it is not there (file storage, history 1, no expiry).
  static Result<KeyValue> open(Connection& connection, std::string_view bucket,
                               milliseconds timeout = milliseconds{5'000});

  // nullopt when the key is not there (or was deleted). Always the newest value.
  Result<std::optional<KeyValueEntry>> get(std::string_view key);
  // The revision it got.
  Result<std::uint64_t> put(std::string_view key, std::string_view value);
  // Errc::conflict when the key is there.
  Result<std::uint64_t> create(std::string_view key, std::string_view value);
  // Errc::conflict when the key's revision is another one.
  Result<std::uint64_t> update(std::string_view key, std::string_view value, std::uint64_t revision);
  Result<void> remove(std::string_view key);
  // The keys that begin with `prefix`, without deleted ones.
  Result<std::vector<std::string>> keys(std::string_view prefix = {});

 private:
  KeyValue(Connection& connection, std::string bucket, milliseconds timeout);
  Result<std::uint64_t> write(std::string_view key, std::string_view value, std::optional<std::uint64_t> expected,
                              std::string_view operation);
  Connection* connection_;
  std::string bucket_;
  milliseconds timeout_;
};

// At most one holder of `key` at a time, each with a fencing number that only rises. A holder renews the
// key every ttl/3; another one may take it when it has seen it unchanged for a whole ttl by its own
// monotonic clock (no two clocks are compared). A holder that could not renew for 2/3 of the ttl counts
// as having lost it, before anybody else can take it. A holder that is known to be dead need not be waited for
// (Options::is_dead).
//
// Runs on: a thread of its own for renewing; callbacks run on it: post and return.
class Lease {
 public:
  struct Options {
    std::string key;    // e.g. "lease.storage.trade"
    std::string owner;  // who holds it, for people: host, process id
    std::chrono::milliseconds ttl{10'000};
    // Whether the holder that calls itself `owner` can never work again: then the lease is taken at once. Must say
    // false when in doubt. Asked on the lease's thread while somebody else holds it; none: nobody is known to be dead.
    std::function<bool(std::string_view owner)> is_dead = {};
  };
  struct Callbacks {
    std::function<void(std::uint64_t fencing_number)> acquired;
    std::function<void(std::string reason)> lost;     // stop working on what it guards; it tries to get it again
    std::function<void(std::string holder)> waiting;  // somebody else holds it; once per holder
  };
  // Begins trying at once, for ever.
  Lease(KeyValue bucket, Options options, Callbacks callbacks);
  // Gives it back if held, so that another one can take it at once.
  ~Lease();
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

  // The fencing number while it is held (by this process's clock), else nullopt. Any thread.
  std::optional<std::uint64_t> held() const;
  // Waits until it is held, as held() says; false when `timeout` passed.
  bool wait_held(std::chrono::milliseconds timeout) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mp::nats
