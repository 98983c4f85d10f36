// What a live session asks for: sockets, subscriptions, polls, and lost books.
#include "exchanges/okx/conversation.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <map>
#include <set>

#include "support.hpp"

namespace mp::okx {
namespace {

using testing::HasSubstr;

const std::string kPublic = "wss://ws.okx.com:8443/ws/v5/public";
const std::string kBusiness = "wss://ws.okx.com:8443/ws/v5/business";

// A live session that remembers what it has asked for.
struct Live : Script {
  explicit Live(std::vector<std::string> symbols, std::vector<DataType> types = {})
      : Script([&] {
          auto options = options_for(std::move(symbols));
          if (!types.empty()) options.data_types = types;
          return options;
        }()) {}

  void note() {
    for (const auto& each : out.opens) sockets.push_back(each.url);
    for (const auto& each : out.frames) frames.emplace_back(each.connection, each.text);
    for (const auto& each : out.requests) requests.push_back(each.url);
    for (const auto& each : out.closes) closes.push_back(each);
  }
  void run(std::chrono::nanoseconds from, std::chrono::nanoseconds to) {
    for (auto t = from; t <= to; t += 500ms) {
      tick(t);
      note();
    }
  }
  void start() {
    begin(0ms);
    note();
    for (const auto& [kind, file] : {std::pair{"SPOT", "rest_instruments_spot.json"},
                                     {"SWAP", "rest_instruments_swap.json"},
                                     {"FUTURES", "rest_instruments_futures.json"}}) {
      rest(kRest + "public/instruments?instType=" + kind, fixture(file), 100ms);
      note();
    }
  }
  // Opens every socket that was wished for, as connections 1, 2, …
  void open_all(std::chrono::nanoseconds t) {
    for (std::size_t i = opened_sockets; i < sockets.size(); ++i) {
      opened(static_cast<ConnectionId>(i + 1), sockets[i], t);
      note();
    }
    opened_sockets = sockets.size();
  }
  ConnectionId connection_of(const std::string& stream_text) const {
    for (const auto& [connection, text] : frames)
      if (text.find(stream_text) != std::string::npos && text.find(R"("op":"subscribe")") != std::string::npos)
        return connection;
    ADD_FAILURE() << stream_text << " was not subscribed";
    return 0;
  }
  // Answers every subscription that has been sent.
  void confirm_all(std::chrono::nanoseconds t) {
    for (; confirmed < frames.size(); ++confirmed) {
      auto [connection, text] = frames[confirmed];
      const bool subscribe = text.find(R"("op":"subscribe")") != std::string::npos;
      if (!subscribe && text.find(R"("op":"unsubscribe")") == std::string::npos) continue;
      const std::string event = subscribe ? "subscribe" : "unsubscribe";
      for (auto at = text.find(R"({"channel")"); at != std::string::npos; at = text.find(R"({"channel")", at + 1)) {
        const auto arg = text.substr(at, text.find('}', at) + 1 - at);
        this->text(connection, R"({"event":")" + event + R"(","arg":)" + arg + R"(,"connId":"x"})", t);
      }
    }
    note();
  }
  std::size_t sent(const std::string& part) const {
    return static_cast<std::size_t>(
        std::ranges::count_if(frames, [&](const auto& each) { return each.second.find(part) != std::string::npos; }));
  }
  std::size_t asked(const std::string& part) const {
    return static_cast<std::size_t>(
        std::ranges::count_if(requests, [&](const auto& each) { return each.find(part) != std::string::npos; }));
  }

  std::vector<std::string> sockets;
  std::vector<std::pair<ConnectionId, std::string>> frames;
  std::vector<std::string> requests;
  std::vector<CloseSocket> closes;
  std::size_t opened_sockets = 0;
  std::size_t confirmed = 0;
};

const std::string kBookArg = R"({"channel":"books","instId":"BTC-USDT-SWAP"})";

TEST(Conversation, OneFeedOverPublicAndBusinessSockets) {
  Live live({"BTC-USDT-SWAP"});
  live.start();
  EXPECT_EQ(live.asked("public/instruments"), 3u);
  // Books have a socket of their own, trades-all is on the other path.
  EXPECT_THAT(live.sockets, testing::UnorderedElementsAre(kPublic, kPublic, kBusiness));
  live.open_all(200ms);
  live.run(500ms, 30s);
  for (const char* arg :
       {R"({"channel":"books","instId":"BTC-USDT-SWAP"})", R"({"channel":"funding-rate","instId":"BTC-USDT-SWAP"})",
        R"({"channel":"open-interest","instId":"BTC-USDT-SWAP"})",
        R"({"channel":"liquidation-orders","instType":"SWAP"})", R"({"channel":"instruments","instType":"SWAP"})"})
    EXPECT_EQ(live.sockets[live.connection_of(arg) - 1], kPublic) << arg;
  EXPECT_EQ(live.sockets[live.connection_of(R"({"channel":"trades-all","instId":"BTC-USDT-SWAP"})") - 1], kBusiness);
  EXPECT_EQ(live.asked("long-short-account-ratio-contract?instId=BTC-USDT-SWAP&period=5m&limit=2"), 1u);
  EXPECT_EQ(live.asked("long-short-position-ratio-contract-top-trader?instId=BTC-USDT-SWAP&period=5m&limit=2"), 1u);
  EXPECT_EQ(live.asked("funding-rate-history?instId=BTC-USDT-SWAP&limit=2"), 1u);
}

TEST(Conversation, SpotHasNeitherFundingNorRatios) {
  Live live({"ETH-USDT"}, {DataType::orderbook_delta, DataType::trade, DataType::funding_rate, DataType::open_interest,
                           DataType::lsr_all_account});
  live.start();
  live.open_all(200ms);
  live.run(500ms, 30s);
  // The name is the spot instrument's own and the perpetual's canonical one: both are chosen.
  EXPECT_EQ(live.sent(R"({"channel":"books","instId":"ETH-USDT"})"), 1u);
  EXPECT_EQ(live.sent(R"({"channel":"funding-rate","instId":"ETH-USDT"})"), 0u);
  EXPECT_EQ(live.asked("ratio-contract?instId=ETH-USDT&"), 0u);
}

TEST(Conversation, WhatIsQuietIsNotShownAsBroken) {
  Live live({"BTC-USDT-SWAP"});
  live.start();
  live.open_all(200ms);
  live.run(500ms, 2s);
  live.confirm_all(2s);
  const auto state = [&](DataType type) {
    std::vector<StreamStatus> status;
    live.session->describe(status);
    for (const auto& each : status)
      if (each.data_type == type) return each.state;
    ADD_FAILURE() << to_string(type);
    return StreamState::refused;
  };
  EXPECT_EQ(state(DataType::trade), StreamState::live) << "no trade since the start";
  EXPECT_EQ(state(DataType::liquidation), StreamState::live) << "no liquidation since the start";
  EXPECT_EQ(state(DataType::orderbook_delta), StreamState::subscribing) << "a book's first message is due at once";
  EXPECT_EQ(state(DataType::open_interest), StreamState::subscribing) << "due every 3 s";
  EXPECT_EQ(state(DataType::lsr_all_account), StreamState::waiting);
  live.run(3s, 60s);
  const auto asked = std::ranges::find_if(live.requests, [](const std::string& url) {
    return url.find("long-short-account-ratio-contract?instId=BTC-USDT-SWAP") != std::string::npos;
  });
  ASSERT_NE(asked, live.requests.end());
  live.rest(*asked, R"({"code":"0","msg":"","data":[]})", 61s);
  EXPECT_EQ(state(DataType::lsr_all_account), StreamState::live) << "answered; the venue has no ratio of it";
}

TEST(Conversation, FewBooksOnASocket) {
  std::string list = R"({"code":"0","msg":"","data":[)";
  for (int i = 0; i < 60; ++i)
    list += std::string(i ? "," : "") + R"({"instType":"SPOT","instId":"C)" + std::to_string(i) +
            R"(-USDT","baseCcy":"C)" + std::to_string(i) + R"(","quoteCcy":"USDT","state":"live","ruleType":"normal"})";
  Live live({"*-USDT"}, {DataType::orderbook_delta});
  live.begin(0ms);
  live.rest(kRest + "public/instruments?instType=SPOT", list + "]}", 100ms);
  live.note();
  live.open_all(200ms);
  live.run(500ms, 10s);
  std::map<ConnectionId, std::size_t> books;
  for (const auto& [connection, text] : live.frames)
    for (auto at = text.find("\"books\""); at != std::string::npos; at = text.find("\"books\"", at + 1))
      ++books[connection];
  std::size_t all = 0;
  for (const auto& [connection, count] : books) {
    EXPECT_LT(count, 30u);
    all += count;
  }
  EXPECT_EQ(all, 60u);
}

// 2026-12-25 08:00, when the fixtures' futures expire.
constexpr auto kExpiry = 1'798'185'600s - 1'790'000'000s;

TEST(Conversation, WhatHasExpiredIsGivenUpAndWithTheLastOfAKindItsChannels) {
  const auto futures = R"({"channel":"liquidation-orders","instType":"FUTURES"})";
  const auto list = R"({"channel":"instruments","instType":"FUTURES"})";
  Live live({"BTC-USDT-261225", "BTC-USDT-SWAP"});
  const auto ask = [&](std::chrono::nanoseconds t) {
    for (const auto& [kind, file] : {std::pair{"SPOT", "rest_instruments_spot.json"},
                                     {"SWAP", "rest_instruments_swap.json"},
                                     {"FUTURES", "rest_instruments_futures.json"}}) {
      live.rest(kRest + "public/instruments?instType=" + kind, fixture(file), t);
      live.note();
    }
  };
  live.begin(kExpiry - 60s);
  live.note();
  ask(kExpiry - 59s);
  live.open_all(kExpiry - 58s);
  live.run(kExpiry - 57s, kExpiry - 40s);
  live.confirm_all(kExpiry - 40s);
  EXPECT_EQ(live.sent(futures), 1u);
  EXPECT_EQ(live.sent(list), 1u);
  const auto described = [&] {
    std::vector<StreamStatus> status;
    live.session->describe(status);
    std::set<std::string> names;
    for (const auto& each : status) names.insert(each.instrument->instrument);
    return names;
  };
  EXPECT_EQ(described().size(), 2u);
  live.frames.clear();
  live.confirmed = 0;
  live.run(kExpiry - 39s, kExpiry + 44s);
  EXPECT_EQ(live.sent("unsubscribe"), 0u) << "what was sent until the last moment is under way";
  live.run(kExpiry + 45s, kExpiry + 70s);
  for (const auto& arg : {std::string(futures), std::string(list), std::string(R"("instId":"BTC-USDT-261225")")})
    EXPECT_GE(live.sent(arg), 1u) << arg;
  EXPECT_EQ(live.sent(R"("instType":"SWAP")"), 0u);
  EXPECT_EQ(live.sent(R"("op":"subscribe")"), 0u);
  EXPECT_THAT(described(), testing::ElementsAre("BTC-USDT-SWAP")) << "of what is over nothing is waited for";
  live.requests.clear();
  live.run(kExpiry + 71s, kExpiry + 10min);
  EXPECT_EQ(live.asked("BTC-USDT-261225"), 0u);
}

TEST(Conversation, AnUnknownNameIsRefusedAtTheStart) {
  Live live({"BTC-USDT-SWPA"});
  live.start();
  ASSERT_TRUE(live.out.refusal);
  EXPECT_THAT(live.out.refusal->text(), HasSubstr("BTC-USDT-SWAP"));
}

TEST(Conversation, SilenceIsPingedAndAnythingIsAnAnswer) {
  Live live({"BTC-USDT-SWAP"}, {DataType::funding_rate});
  live.start();
  live.open_all(200ms);
  live.run(500ms, 2s);
  live.confirm_all(2s);
  live.run(3s, 15s);
  EXPECT_EQ(live.sent("ping"), 0u);
  live.run(16s, 24s);
  EXPECT_EQ(live.sent("ping"), 1u) << "20 s after the last frame, before the venue's 30 s";
  live.text(1, "pong", 24s);
  EXPECT_TRUE(live.out.events.empty());
  live.run(25s, 43s);
  EXPECT_EQ(live.sent("ping"), 1u);
  EXPECT_TRUE(live.closes.empty());
  live.run(44s, 90s);
  ASSERT_FALSE(live.closes.empty());
  EXPECT_EQ(live.closes[0].reason, CloseReason::stale);
}

struct LiveBook : Live {
  LiveBook() : Live({"BTC-USDT-SWAP"}, {DataType::orderbook_delta}) {
    start();
    open_all(200ms);
    run(500ms, 2s);
    confirm_all(2s);
    book = connection_of(kBookArg);
  }
  void push(const std::string& frame, std::chrono::nanoseconds t) {
    text(book, frame, t);
    note();
  }
  ConnectionId book = 0;
};

TEST(Conversation, ABookIsHeldAgainstTheVenuesOwnNowAndThen) {
  LiveBook live;
  live.push(book_frame(true, -1, 10, 2000), 2100ms);
  live.run(2500ms, 60s);
  const std::string url = kRest + "market/books?instId=BTC-USDT-SWAP&sz=400";
  ASSERT_EQ(live.asked("market/books"), 2u) << "every 30 s one";
  const auto events = live.all.size();
  live.rest(
      url,
      R"({"code":"0","msg":"","data":[{"asks":[],"bids":[["100.0","3","0","1"]],"ts":"1790000060000","seqId":10}]})",
      60s);
  EXPECT_EQ(live.all.size(), events) << "nothing is published of it";
  EXPECT_EQ(live.session->counters().audits.agreed, 1u);
  live.run(61s, 91s);
  ASSERT_EQ(live.asked("market/books"), 3u);
  const auto& out = live.rest(
      url,
      R"({"code":"0","msg":"","data":[{"asks":[],"bids":[["100.0","4","0","1"]],"ts":"1790000090000","seqId":10}]})",
      91s);
  EXPECT_EQ(live.session->counters().audits.differed, 1u);
  ASSERT_EQ(out.notices.size(), 1u);
  // Sizes are contracts of 0.01.
  EXPECT_THAT(out.notices[0].detail, HasSubstr(R"(first="bid 100 ours=0.03 theirs=0.04")"));
  // The same id and another book: ours was wrong, and its stream is subscribed again.
  ASSERT_EQ(live.all.size(), events + 1);
  const auto* gap = std::get_if<Gap>(&live.all.back());
  ASSERT_TRUE(gap);
  EXPECT_EQ(gap->cause, GapCause::audit);
  EXPECT_EQ(live.session->counters().resyncs, 1u);
  live.note();
  live.run(92s, 94s);
  EXPECT_EQ(live.sent(R"("op":"unsubscribe")"), 1u);
}

TEST(Conversation, ALostBookSubscribesItsStreamAloneAgain) {
  LiveBook live;
  live.push(book_frame(true, -1, 10, 2000), 2100ms);
  live.push(book_frame(false, 11, 12, 2100), 2200ms);
  live.run(2500ms, 3s);
  ASSERT_EQ(live.sent(R"("op":"unsubscribe","args":[)" + kBookArg + "]"), 1u);
  EXPECT_EQ(live.sent(kBookArg), 2u) << "subscribed again only when the venue has answered";
  live.push(book_frame(false, 12, 13, 2200), 3100ms);  // updates still come: no second resynchronisation
  live.confirm_all(3200ms);
  live.run(3500ms, 4s);
  EXPECT_EQ(live.sent(kBookArg), 3u);
  live.confirm_all(4100ms);
  live.push(book_frame(true, -1, 20, 4000), 4200ms);
  EXPECT_EQ(live.session->counters().resyncs, 1u);
  EXPECT_TRUE(live.closes.empty()) << "the connection and its other streams go on";
  std::vector<OrderBook> held;
  live.session->books(0, held);
  EXPECT_EQ(held.size(), 1u);
  EXPECT_EQ(live.asked("market/books"), 0u);
}

TEST(Conversation, WithoutASnapshotOverTheSocketItIsAskedForByRest) {
  LiveBook live;
  live.push(book_frame(false, 10, 12, 2000), 2100ms);  // no snapshot has come before it
  live.run(2500ms, 3s);
  live.confirm_all(3s);
  live.run(3500ms, 4s);
  live.confirm_all(4s);
  std::int64_t id = 12;
  for (auto t = 4500ms; t <= 20s && live.asked("market/books") == 0; t += 500ms) {
    live.push(book_frame(false, id, id + 1, static_cast<int>(t.count())), t);
    ++id;
    live.run(t, t);
  }
  ASSERT_EQ(live.asked("market/books?instId=BTC-USDT-SWAP&sz=400"), 1u);
  live.rest(kRest + "market/books?instId=BTC-USDT-SWAP&sz=400",
            R"({"code":"0","msg":"","data":[{"asks":[],"bids":[["99","1","0","1"]],"ts":"1790000020000","seqId":)" +
                std::to_string(id) + "}]}",
            21s);
  std::vector<OrderBook> held;
  live.session->books(0, held);
  EXPECT_EQ(held.size(), 1u);
}

TEST(Conversation, AnUpgradeNoticeOpensAReplacementFirst) {
  LiveBook live;
  live.push(book_frame(true, -1, 10, 2000), 2100ms);
  const auto before = live.sockets.size();
  live.push(fixture("ws_notice.json"), 3s);
  ASSERT_EQ(live.sockets.size(), before + 1);
  EXPECT_TRUE(live.closes.empty());
  live.open_all(3200ms);
  live.run(3500ms, 5s);
  live.confirm_all(5s);
  live.push(book_frame(false, 10, 11, 5000), 5100ms);
  const auto fresh = static_cast<ConnectionId>(live.sockets.size());
  live.text(fresh, book_frame(true, -1, 11, 5000), 5200ms);
  live.text(fresh, book_frame(false, 11, 12, 5100), 5300ms);
  live.run(5500ms, 7s);
  ASSERT_EQ(live.closes.size(), 1u);
  EXPECT_EQ(live.closes[0].connection, live.book);
  EXPECT_EQ(live.closes[0].reason, CloseReason::replaced);
  EXPECT_TRUE(only<Gap>(live.all).empty());
}

TEST(Conversation, ARefusedStreamIsNamedAndTheOthersGoOn) {
  Live live({"BTC-USDT-SWAP", "ETH-USDT-SWAP"}, {DataType::funding_rate});
  live.start();
  live.open_all(200ms);
  live.run(500ms, 1s);
  const auto connection = live.connection_of(R"({"channel":"funding-rate","instId":"ETH-USDT-SWAP"})");
  live.text(connection,
            R"({"id":"1","event":"error","code":"60018","msg":"Wrong URL or channel:funding-rate,instId:ETH-USDT-SWAP )"
            R"(doesn't exist. Please use the correct URL.","connId":"x"})",
            2s);
  ASSERT_FALSE(live.out.notices.empty());
  EXPECT_THAT(live.out.notices[0].detail, HasSubstr("funding-rate:ETH-USDT-SWAP"));
  EXPECT_THAT(live.out.notices[0].detail, HasSubstr("code=60018"));
  std::vector<StreamStatus> streams;
  live.session->describe(streams);
  for (const auto& each : streams)
    if (each.data_type == DataType::funding_rate) {
      EXPECT_EQ(each.state == StreamState::refused, each.instrument->instrument == "ETH-USDT-SWAP");
    }
}

TEST(Conversation, PollsGoOnFromTheLastRowThatIsKnown) {
  Live live({"BTC-USDT-SWAP"}, {DataType::lsr_top_position});
  live.start();
  live.run(500ms, 30s);
  const auto url = kPositionRatioUrl + "&limit=2";
  ASSERT_EQ(live.asked("position-ratio-contract-top-trader"), 1u);
  live.rest(url, fixture("rest_ratio.json"), 31s);
  EXPECT_EQ(only<LsrTopPosition>(live.all).size(), 3u);
  live.run(32s, 11min);
  EXPECT_GE(live.asked("&begin=1789999800000&limit=100"), 1u);
}

TEST(Conversation, AfterALongOutageRatiosAreAskedForPieceByPiece) {
  Live before({"BTC-USDT-SWAP"}, {DataType::lsr_all_account});
  before.start();
  before.run(200ms, 60s);
  const auto start = nanos_since_epoch(kStart) / 300'000'000'000 * 300'000;  // ms of a whole period
  const auto row = [&](int n) { return fmt::format(R"(["{}","1.{}"])", start + n * 300'000, 1000 + n); };
  before.rest(before.requests.back(), R"({"code":"0","msg":"","data":[)" + row(0) + "]}", 61s);
  ASSERT_EQ(only<LsrAllAccount>(before.all).size(), 1u);
  std::string state;
  before.session->save(state);

  // 250 periods later. The venue answers with the newest rows of what is asked for.
  Live live({"BTC-USDT-SWAP"}, {DataType::lsr_all_account});
  ASSERT_TRUE(live.session->restore(state));
  const auto later = 250 * 300s;
  live.begin(later);
  live.note();
  std::size_t done = 0;
  for (std::chrono::nanoseconds t = later; t < later + 200s; t += 500ms) {
    live.tick(t);
    live.note();
    for (; done < live.requests.size(); ++done) {
      const auto url = live.requests[done];
      if (url.find("long-short-account-ratio-contract") == std::string::npos) continue;
      const auto number = [&](const char* item) {
        const auto text = std::string(query_value(url, item));
        return text.empty() ? INT64_MAX : std::stoll(text);
      };
      std::string rows;
      int count = 0;
      for (int n = 249; n >= 0 && count < 100; --n) {
        const auto time = start + n * 300'000;
        if (time <= number("begin") || time >= number("end")) continue;
        rows += (count++ ? "," : "") + row(n);
      }
      live.rest(url, R"({"code":"0","msg":"","data":[)" + rows + "]}", t);
      live.note();
    }
  }
  EXPECT_EQ(only<LsrAllAccount>(live.all).size(), 249u) << "none is left out";
  EXPECT_EQ(live.asked("long-short-account-ratio-contract"), 3u);
}

TEST(Conversation, RulesByVolumeAskForTheVolumesFirst) {
  auto options = options_for();
  options.conversing = true;
  SelectionRule rule;
  rule.kind = MarketType::perpetual;
  rule.top = 1;
  options.symbols = Selection(std::vector<SelectionRule>{rule});
  options.data_types = {DataType::trade};
  Script script(options);
  std::vector<std::string> asked;
  const auto note = [&] {
    for (const auto& each : script.out.requests) asked.push_back(each.url);
  };
  script.begin(0ms);
  note();
  ASSERT_EQ(asked.size(), 3u);
  for (const auto& url : asked) EXPECT_THAT(url, HasSubstr("market/tickers?instType="));
  asked.clear();
  script.rest(kRest + "market/tickers?instType=SWAP", fixture("rest_tickers_swap.json"), 100ms);
  note();
  EXPECT_THAT(asked, testing::Contains(kRest + "public/instruments?instType=SWAP"));
  script.rest(kRest + "public/instruments?instType=SWAP", fixture("rest_instruments_swap.json"), 200ms);
  const auto listed = only<Instrument>(script.all);
  ASSERT_EQ(listed.size(), 1u);
  EXPECT_EQ(listed[0].meta.instrument->instrument, "BTC-USDT-SWAP");
}

TEST(Dialect, WhatIsSent) {
  OkxDialect dialect;
  std::string streams;
  dialect.append_stream(streams, "books:BTC-USDT-SWAP");
  streams += ',';
  dialect.append_stream(streams, "liquidation-orders:SWAP");
  EXPECT_EQ(dialect.request(Dialect::Operation::subscribe, streams, 7),
            R"({"id":"7","op":"subscribe","args":[{"channel":"books","instId":"BTC-USDT-SWAP"},)"
            R"({"channel":"liquidation-orders","instType":"SWAP"}]})");
}

TEST(Endpoints, ByTheirWholePath) {
  EXPECT_EQ(endpoint_of(kAccountRatioUrl), Endpoint::all_account_ratio);
  EXPECT_EQ(endpoint_of(kPositionRatioUrl), Endpoint::top_position_ratio);
  EXPECT_FALSE(endpoint_of(kRest + "rubik/stat/contracts/long-short-account-ratio-contract-top-trader?instId=X"));
  EXPECT_FALSE(endpoint_of(kRest + "rubik/stat/contracts/long-short-account-ratio?ccy=BTC"));
  EXPECT_FALSE(endpoint_of(kRest + "market/books-full?instId=X"));
  EXPECT_EQ(query_value("https://x/y?a=1&instId=BTC-USDT&b", "instId"), "BTC-USDT");
  EXPECT_EQ(query_value("https://x/y", "instId"), "");
}

TEST(OkxConversation, AnotherConfigurationIsTakenOverTheSocketsThatThereAre) {
  Live s({"BTC-USDT-SWAP", "BTC-USDT"});
  s.start();
  s.open_all(200ms);
  s.run(300ms, 3s);
  s.confirm_all(3s);
  s.text(s.connection_of("trades-all"), trade_frame(1, 3100), 3100ms);
  const auto sockets = s.sockets.size();
  const auto frames = s.frames.size();

  auto other = options_for({"BTC-USDT-SWAP"});
  std::erase(other.data_types, DataType::open_interest);
  s.out.clear();
  s.session->reconfigure(other, s.at(4s), s.out);
  s.note();
  std::vector<std::string> ended;
  for (const auto& gap : only<Gap>(s.out.events)) {
    EXPECT_EQ(gap.cause, GapCause::end);
    ended.push_back(gap.meta.instrument->instrument + " " + to_string(gap.data_type));
  }
  EXPECT_THAT(ended, testing::UnorderedElementsAre("BTC-USDT orderbook_delta", "BTC-USDT trade",
                                                   "BTC-USDT-SWAP open_interest", "BTC-USDT orderbook"));
  s.run(4500ms, 8s);
  EXPECT_EQ(s.sockets.size(), sockets) << "nothing is opened anew";
  std::string unsubscribed;
  for (auto i = frames; i < s.frames.size(); ++i) {
    EXPECT_EQ(s.frames[i].second.find(R"("op":"subscribe")"), std::string::npos) << s.frames[i].second;
    unsubscribed += s.frames[i].second;
  }
  EXPECT_THAT(unsubscribed, testing::AllOf(HasSubstr(R"("instId":"BTC-USDT"})"), HasSubstr("open-interest")));
  EXPECT_THAT(unsubscribed, testing::Not(HasSubstr(R"("channel":"trades-all","instId":"BTC-USDT-SWAP")")));
  EXPECT_GT(s.asked("public/instruments?instType=SWAP"), 1u) << "the lists are read again at once";
  s.text(s.connection_of("trades-all"), trade_frame(2, 8100), 8100ms);
  EXPECT_EQ(only<Trade>(s.out.events).size(), 1u);
  EXPECT_TRUE(only<Gap>(s.out.events).empty()) << "what stays goes on without a hole";
}

TEST(OkxConversation, ChannelsOfAKindEndWithItsLastInstrument) {
  Live s({"BTC-USDT-SWAP", "BTC-USDT-261225"});
  s.start();
  s.open_all(200ms);
  s.run(300ms, 3s);
  s.confirm_all(3s);
  s.frames.clear();
  s.out.clear();
  s.session->reconfigure(options_for({"BTC-USDT-SWAP"}), s.at(4s), s.out);
  s.note();
  s.run(4500ms, 8s);
  EXPECT_EQ(s.sent(R"({"channel":"liquidation-orders","instType":"FUTURES"})"), 1u);
  EXPECT_EQ(s.sent(R"({"channel":"instruments","instType":"FUTURES"})"), 1u);
  EXPECT_EQ(s.sent(R"("instType":"SWAP")"), 0u);
  EXPECT_EQ(s.sent(R"("op":"subscribe")"), 0u);
}

}  // namespace
}  // namespace mp::okx
