#include "data-storage-service/src/process_identity.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

namespace mp::storage {
namespace {

// A child that waits to be killed, and who it says it is.
struct Child {
  pid_t pid = -1;
  ProcessIdentity identity;

  Child() {
    int channel[2];
    if (::pipe(channel) != 0) throw std::runtime_error("pipe");
    pid = ::fork();
    if (pid == 0) {
      const auto own = own_identity();
      const auto text = own ? own->text() : "unknown";
      [[maybe_unused]] const auto ignored = ::write(channel[1], text.data(), text.size());
      ::close(channel[1]);
      while (true) ::pause();
    }
    ::close(channel[1]);
    std::string text;
    std::array<char, 512> buffer;
    for (ssize_t n = 0; (n = ::read(channel[0], buffer.data(), buffer.size())) > 0;)
      text.append(buffer.data(), static_cast<std::size_t>(n));
    ::close(channel[0]);
    const auto parsed = ProcessIdentity::parse(text);
    if (parsed) identity = *parsed;
  }
  ~Child() { collect(); }
  // Killed, and not collected: a zombie.
  void kill_it() const {
    ::kill(pid, SIGKILL);
    siginfo_t info{};
    ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT);
  }
  void collect() {
    if (pid <= 0) return;
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    pid = -1;
  }
};

TEST(ProcessIdentity, TellsADeadProcessFromALivingOne) {
  const auto own = own_identity();
  ASSERT_TRUE(own) << "this machine does not say enough";
  EXPECT_EQ(ProcessIdentity::parse(own->text()), *own);
  EXPECT_FALSE(is_known_dead(*own, *own));
  Child child;
  ASSERT_EQ(child.identity.pid, child.pid);
  EXPECT_FALSE(is_known_dead(*own, child.identity));
  auto earlier = child.identity;
  earlier.started -= 1;
  EXPECT_TRUE(is_known_dead(*own, earlier)) << "its number belongs to another process now";
  child.kill_it();
  EXPECT_TRUE(is_known_dead(*own, child.identity)) << "a zombie does nothing any more";
  child.collect();
  EXPECT_TRUE(is_known_dead(*own, child.identity));
}

TEST(ProcessIdentity, OfAnotherMachineBootOrContainerNothingIsKnown) {
  const auto own = own_identity();
  ASSERT_TRUE(own);
  Child child;
  const auto dead = child.identity;
  child.collect();
  ASSERT_TRUE(is_known_dead(*own, dead));
  for (const auto member : {&ProcessIdentity::host, &ProcessIdentity::boot, &ProcessIdentity::spaces}) {
    auto elsewhere = dead;
    elsewhere.*member += "1";
    EXPECT_FALSE(is_known_dead(*own, elsewhere)) << elsewhere.text();
  }
}

TEST(ProcessIdentity, WhatDoesNotNameAProcessIsNone) {
  for (const char* text :
       {"", "host/12", "host/12 started=5 boot=b", "host/12 started= boot=b ns=1-2", "host/x started=5 boot=b ns=1-2",
        "/12 started=5 boot=b ns=1-2", "host/0 started=5 boot=b ns=1-2", "host 12/ started=5 boot=b ns=1-2"}) {
    EXPECT_FALSE(ProcessIdentity::parse(text)) << text;
  }
  EXPECT_TRUE(ProcessIdentity::parse("host/12 started=5 boot=b ns=1-2"));
}

}  // namespace
}  // namespace mp::storage
