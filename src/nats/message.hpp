#pragma once
// A message of the bus as a value: a copy of what nats.c delivered.

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mp::nats {

using Header = std::pair<std::string, std::string>;

struct Message {
  std::string subject;
  std::string reply;
  std::string payload;
  std::vector<Header> headers;

  // The value of the first header of that name (exact case), "" when there is none.
  std::string_view header(std::string_view name) const {
    for (const Header& h : headers) {
      if (h.first == name) return h.second;
    }
    return {};
  }
  // What the message occupies, for bounds: texts and a flat charge for the objects.
  std::size_t bytes() const {
    std::size_t sum = sizeof(Message) + subject.size() + reply.size() + payload.size();
    for (const Header& h : headers) sum += sizeof(Header) + h.first.size() + h.second.size();
    return sum;
  }
};

}  // namespace mp::nats
