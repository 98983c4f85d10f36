#include "engine/query_request.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mp::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

net::HttpServerRequest request(std::string query, std::vector<net::HttpField> headers = {},
                               std::string method = "POST") {
  net::HttpServerRequest out;
  out.method = std::move(method);
  out.path = "/";
  out.query = std::move(query);
  out.headers = std::move(headers);
  return out;
}

TEST(DecodeRequest, TellsSettingsParametersAndTheInterfacesOwnApart) {
  const auto r =
      decode_request(request("query=SELECT+1&database=d&default_format=JSON&query_id=q&max_threads=1&param_x=a%09b&"
                             "wait_end_of_query=1&buffer_size=10&session_id=s&session_timeout=5&&user=u&password=p"));
  ASSERT_TRUE(r);
  EXPECT_EQ(r->query, "SELECT 1");
  EXPECT_EQ(r->database, "d");
  EXPECT_EQ(r->default_format, "JSON");
  EXPECT_EQ(r->query_id, "q");
  EXPECT_THAT(r->settings, ElementsAre(Pair("max_threads", "1")));
  EXPECT_THAT(r->parameters, ElementsAre(Pair("x", "a\tb")));
  EXPECT_TRUE(r->wait_end_of_query);
  EXPECT_EQ(r->buffer_size, 10u);
  EXPECT_EQ(r->session->id, "s");
  EXPECT_EQ(r->session->timeout.count(), 5);
  EXPECT_FALSE(r->session->must_exist);
  EXPECT_EQ(r->credentials.user, "u");
  EXPECT_EQ(r->credentials.password, "p");
  EXPECT_FALSE(r->readonly);
  EXPECT_TRUE(decode_request(request("query=SELECT+1", {}, "GET"))->readonly);
}

TEST(DecodeRequest, TakesCredentialsFromHeadersOrBasicAuthentication) {
  const auto headers = decode_request(request("", {{"X-ClickHouse-User", "u"}, {"X-ClickHouse-Key", "k"}}));
  EXPECT_EQ(headers->credentials.user, "u");
  EXPECT_EQ(headers->credentials.password, "k");
  const auto basic = decode_request(request("", {{"Authorization", "Basic dTpwYTpzcw=="}}));  // u:pa:ss
  EXPECT_EQ(basic->credentials.user, "u");
  EXPECT_EQ(basic->credentials.password, "pa:ss");
  const auto none = decode_request(request(""));
  EXPECT_EQ(none->credentials.user, "default");
  EXPECT_EQ(none->credentials.password, "");
}

TEST(DecodeRequest, RefusesMixedAndUnknownAuthentication) {
  EXPECT_EQ(decode_request(request("user=x", {{"X-ClickHouse-User", "u"}})).error().code, 516);
  EXPECT_EQ(decode_request(request("", {{"X-ClickHouse-User", "u"}, {"Authorization", "Basic dTpw"}})).error().code,
            516);
  EXPECT_EQ(decode_request(request("password=x", {{"Authorization", "Basic dTpw"}})).error().code, 516);
  EXPECT_EQ(decode_request(request("", {{"Authorization", "Bearer abc"}})).error().code, 516);
  EXPECT_EQ(decode_request(request("", {{"Authorization", "Basic %%%"}})).error().code, 516);
}

TEST(DecodeRequest, HeadersGoBeforeParameters) {
  const auto r = decode_request(
      request("database=a&default_format=CSV", {{"X-ClickHouse-Database", "b"}, {"X-ClickHouse-Format", "TSV"}}));
  EXPECT_EQ(r->database, "b");
  EXPECT_EQ(r->default_format, "TSV");
}

TEST(DecodeRequest, RefusesSessionTimesThatAreNone) {
  EXPECT_EQ(decode_request(request("session_id=s&session_timeout=x")).error().code, 374);
  EXPECT_EQ(decode_request(request("session_id=s&session_timeout=-1")).error().code, 374);
  EXPECT_EQ(decode_request(request("session_id=s&session_timeout=3601")).error().code, 374);
}

TEST(DecodeRequest, SaysWhatIsNotThere) {
  EXPECT_THAT(decode_request(request("compress=1")).error().text, HasSubstr("Accept-Encoding"));
  EXPECT_THAT(decode_request(request("", {{"Content-Encoding", "br"}})).error().text, HasSubstr("'br'"));
  EXPECT_EQ(decode_request(request("", {{"Content-Type", "multipart/form-data; boundary=x"}})).error().code, 48);
}

TEST(DecodeRequest, ReadsEncodings) {
  const auto r =
      decode_request(request("enable_http_compression=1", {{"Content-Encoding", "zstd"}, {"Accept-Encoding", "gzip"}}));
  EXPECT_EQ(r->body_coding, Coding::zstd);
  EXPECT_EQ(r->accepted_coding, Coding::gzip);
  EXPECT_EQ(r->compress_answer, true);
  EXPECT_EQ(decode_request(request(""))->compress_answer, std::nullopt);
}

TEST(EngineErrors, HaveTheServersTextAndStatus) {
  const auto error = make_error(Code::session_is_locked, "Session s is locked by a concurrent client");
  EXPECT_EQ(with_version(error, "26.7"),
            "Code: 373. DB::Exception: Session s is locked by a concurrent client. "
            "(SESSION_IS_LOCKED) (version 26.7)");
  EXPECT_EQ(http_status(error.code), 500);
  const auto engine = from_engine_text("Code: 60. DB::Exception: no (UNKNOWN_TABLE) (version 26.7.2.1)\n");
  EXPECT_EQ(engine.code, 60);
  EXPECT_EQ(with_version(engine, "1"), "Code: 60. DB::Exception: no (UNKNOWN_TABLE) (version 26.7.2.1)");
  EXPECT_EQ(from_engine_text("something else").code, 1001);
  EXPECT_EQ(from_engine_text("Code: 73. DB::Exception: Code: 73. DB::Exception: no. "
                             "(UNKNOWN_FORMAT) (version 26.7.2.1). (UNKNOWN_FORMAT)")
                .text,
            "Code: 73. DB::Exception: no. (UNKNOWN_FORMAT) (version 26.7.2.1)");
  for (const auto& [code, status] : {std::pair{60, 404},
                                     {81, 404},
                                     {62, 400},
                                     {117, 400},
                                     {516, 403},
                                     {497, 403},
                                     {194, 401},
                                     {164, 500},
                                     {252, 500},
                                     {159, 408},
                                     {48, 501},
                                     {229, 413}}) {
    EXPECT_EQ(http_status(code), status) << code;
  }
}

}  // namespace
}  // namespace mp::engine
