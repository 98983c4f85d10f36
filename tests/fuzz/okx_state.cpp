// Any bytes as a saved state of this session: refused or taken, never a crash or unbounded memory; what is taken is
// saved as it was.
#include <cstdlib>
#include <string>

#include "exchanges/okx/okx.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  mp::SessionOptions options;
  options.source = {"okx", ""};
  options.conversing = false;
  const auto make = [&] { return mp::make_okx().make_session(options); };
  const auto session = make();
  if (!session->restore({reinterpret_cast<const char*>(data), size})) return 0;
  std::string saved;
  session->save(saved);
  const auto fresh = make();
  if (!fresh->restore(saved)) std::abort();
  std::string again;
  fresh->save(again);
  if (again != saved) std::abort();
  return 0;
}
