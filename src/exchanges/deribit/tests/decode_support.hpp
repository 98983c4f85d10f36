#pragma once
// Fixtures and padded texts for the tests of this folder.
#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "base/raw_record.hpp"

namespace mp::deribit {

inline std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}
inline std::string fixture(const std::string& name) {
  const auto text = read_file(std::string(MP_SOURCE_DIR) + "/src/exchanges/deribit/fixtures/" + name);
  EXPECT_FALSE(text.empty()) << "fixture " << name;
  return text;
}

// A text with the readable bytes behind it that decoders need. Behind them is the end of an exact allocation, so
// that the address sanitizer sees a read beyond.
class Padded {
 public:
  explicit Padded(std::string_view text) : size_(text.size()), bytes_(new char[size_ + RawRecord::kFramePadding]) {
    std::copy(text.begin(), text.end(), bytes_.get());
    // What stands there may be anything: here, what would make a cut text look whole.
    std::fill(bytes_.get() + size_, bytes_.get() + size_ + RawRecord::kFramePadding, '}');
  }
  std::string_view view() const { return {bytes_.get(), size_}; }

 private:
  std::size_t size_;
  std::unique_ptr<char[]> bytes_;
};

// {"jsonrpc":"2.0","method":"subscription","params":{"channel":…,"data":…}}
inline std::string notification(const std::string& channel, const std::string& data) {
  return R"({"jsonrpc":"2.0","method":"subscription","params":{"channel":")" + channel + R"(","data":)" + data + "}}";
}

inline const std::vector<std::string>& frame_fixtures() {
  static const std::vector<std::string> all{"ws_book_snapshot.json",
                                            "ws_book_change.json",
                                            "ws_book_old_snapshot.json",
                                            "ws_book_old_change.json",
                                            "ws_book_grouped.json",
                                            "ws_trades.json",
                                            "ws_trades_option.json",
                                            "ws_trades_combo.json",
                                            "ws_trades_combo_leg.json",
                                            "ws_ticker_perpetual.json",
                                            "ws_ticker_option.json",
                                            "ws_ticker_linear.json",
                                            "ws_volatility_index.json",
                                            "ws_instrument_state.json",
                                            "ws_platform_state.json",
                                            "ws_quote.json",
                                            "ws_heartbeat.json",
                                            "ws_test_request.json",
                                            "ws_subscribed.json",
                                            "ws_heartbeat_set.json",
                                            "ws_test_answer.json",
                                            "ws_auth.json",
                                            "ws_error.json"};
  return all;
}
inline const std::vector<std::string>& rest_fixtures() {
  static const std::vector<std::string> all{"rest_instruments.json",     "rest_volatility_history.json",
                                            "rest_funding_history.json", "rest_book_summary.json",
                                            "rest_order_book.json",      "rest_error.json"};
  return all;
}

}  // namespace mp::deribit
