// Any bytes as a saved state: refused or taken, never a crash or unbounded memory.
#include <string>

#include "exchanges/router.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  mp::Router router([](const mp::Source& each) {
    mp::SessionOptions options;
    options.source = each;
    options.conversing = false;
    return options;
  });
  const std::string_view saved(reinterpret_cast<const char*>(data), size);
  if (router.restore(saved)) {
    std::string again;
    router.save(again);
  }
  return 0;
}
