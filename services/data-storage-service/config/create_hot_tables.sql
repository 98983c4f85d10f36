-- The hot tables and views alone, without the cold database: clickhouse-client --multiquery < create_hot_tables.sql
-- Made by tools/hot-tables from clickhouse_schema.sql, which is the one source; changes here are lost.

CREATE DATABASE IF NOT EXISTS marketprism_hot;

-- The numbered changes that this database has been through (src/sinks/clickhouse/migrations.cpp): the storage service
-- brings the tables of an older version to this file's, forward only, and refuses what a newer version has made.
CREATE TABLE IF NOT EXISTS marketprism_hot.schema_migrations
(
    version        UInt32,
    name           String,
    applied_at     DateTime64(3, 'UTC') DEFAULT now64(3),
    software       String
)
ENGINE = ReplacingMergeTree(applied_at)
ORDER BY version
SETTINGS index_granularity = 8192, fsync_after_insert = 1, fsync_part_directory = 1;

-- Conflated pictures of the top of a book.
CREATE TABLE IF NOT EXISTS marketprism_hot.orderbooks
(
    timestamp      DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    received_at    DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    exchange       LowCardinality(String),
    market_type    LowCardinality(String),
    symbol         LowCardinality(String),
    instrument     LowCardinality(String),
    data_source    LowCardinality(String),
    last_update_id UInt64 CODEC(Delta, ZSTD(1)),
    quantity_unit  LowCardinality(String) DEFAULT 'base',
    depth          UInt32,
    best_bid_price Nullable(Decimal(38, 12)) CODEC(ZSTD(1)),
    best_bid_quantity Nullable(Decimal(38, 12)) CODEC(ZSTD(1)),
    best_ask_price Nullable(Decimal(38, 12)) CODEC(ZSTD(1)),
    best_ask_quantity Nullable(Decimal(38, 12)) CODEC(ZSTD(1)),
    bid_count      UInt32,
    ask_count      UInt32,
    bids           Array(Tuple(price Decimal(38, 12), quantity Decimal(38, 12))) CODEC(ZSTD(1)),
    asks           Array(Tuple(price Decimal(38, 12), quantity Decimal(38, 12))) CODEC(ZSTD(1)),
    bus_stream     DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    bus_sequence   UInt64 CODEC(Delta, ZSTD(1)),
    bus_index      UInt32 CODEC(T64, ZSTD(1)),
    created_at     DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(DoubleDelta, ZSTD(1)),
    INDEX bus_sequence_range bus_sequence TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toDate(timestamp)
ORDER BY (exchange, market_type, symbol, timestamp, depth, last_update_id)
TTL toDateTime(timestamp) + INTERVAL 3 DAY DELETE
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, fsync_after_insert = 1, fsync_part_directory = 1;

-- Every change of every book; is_snapshot rows hold the whole of it. Quantity 0 removes a level.
CREATE TABLE IF NOT EXISTS marketprism_hot.orderbook_deltas
(
    timestamp      DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    received_at    DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    exchange       LowCardinality(String),
    market_type    LowCardinality(String),
    symbol         LowCardinality(String),
    instrument     LowCardinality(String),
    data_source    LowCardinality(String),
    first_update_id UInt64 CODEC(Delta, ZSTD(1)),
    last_update_id UInt64 CODEC(Delta, ZSTD(1)),
    prev_update_id Nullable(UInt64) CODEC(ZSTD(1)),
    quantity_unit  LowCardinality(String) DEFAULT 'base',
    is_snapshot    Bool,
    bid_count      UInt32,
    ask_count      UInt32,
    bids           Array(Tuple(price Decimal(38, 12), quantity Decimal(38, 12))) CODEC(ZSTD(1)),
    asks           Array(Tuple(price Decimal(38, 12), quantity Decimal(38, 12))) CODEC(ZSTD(1)),
    bus_stream     DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    bus_sequence   UInt64 CODEC(Delta, ZSTD(1)),
    bus_index      UInt32 CODEC(T64, ZSTD(1)),
    created_at     DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(DoubleDelta, ZSTD(1)),
    INDEX bus_sequence_range bus_sequence TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toDate(timestamp)
ORDER BY (exchange, market_type, symbol, timestamp, last_update_id, is_snapshot)
TTL toDateTime(timestamp) + INTERVAL 3 DAY DELETE
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, fsync_after_insert = 1, fsync_part_directory = 1;

-- One match at the venue, or one aggregate of fills (is_aggregated). side is the taker's.
CREATE TABLE IF NOT EXISTS marketprism_hot.trades
(
    timestamp      DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    received_at    DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    exchange       LowCardinality(String),
    market_type    LowCardinality(String),
    symbol         LowCardinality(String),
    instrument     LowCardinality(String),
    data_source    LowCardinality(String),
    trade_id       String CODEC(ZSTD(1)),
    price          Decimal(38, 12) CODEC(ZSTD(1)),
    quantity       Decimal(38, 12) CODEC(ZSTD(1)),
    quantity_unit  LowCardinality(String) DEFAULT 'base',
    contracts      Nullable(Decimal(38, 12)) CODEC(ZSTD(1)),
    side           LowCardinality(String),
    is_maker       Bool,
    is_aggregated  Bool,
    first_trade_id String CODEC(ZSTD(1)),
    last_trade_id  String CODEC(ZSTD(1)),
    execution      LowCardinality(String) DEFAULT 'book',
    base_quantity  Decimal(38, 12) ALIAS if(quantity_unit = 'quote', quantity / price, quantity),
    bus_stream     DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    bus_sequence   UInt64 CODEC(Delta, ZSTD(1)),
    bus_index      UInt32 CODEC(T64, ZSTD(1)),
    created_at     DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(DoubleDelta, ZSTD(1)),
    INDEX bus_sequence_range bus_sequence TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toDate(timestamp)
ORDER BY (exchange, market_type, symbol, timestamp, is_aggregated, trade_id)
TTL toDateTime(timestamp) + INTERVAL 3 DAY DELETE
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS marketprism_hot.funding_rates
(
    timestamp      DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    received_at    DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    exchange       LowCardinality(String),
    market_type    LowCardinality(String),
    symbol         LowCardinality(String),
    instrument     LowCardinality(String),
    data_source    LowCardinality(String),
    funding_rate   Decimal(38, 18) CODEC(ZSTD(1)),
    funding_time   Nullable(DateTime64(9, 'UTC')) CODEC(ZSTD(1)),
    next_funding_time Nullable(DateTime64(9, 'UTC')) CODEC(ZSTD(1)),
    mark_price     Nullable(Decimal(38, 12)) CODEC(ZSTD(1)),
    index_price    Nullable(Decimal(38, 12)) CODEC(ZSTD(1)),
    funding_interval_hours Nullable(Decimal(38, 12)),
    is_settled     Bool,
    bus_stream     DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    bus_sequence   UInt64 CODEC(Delta, ZSTD(1)),
    bus_index      UInt32 CODEC(T64, ZSTD(1)),
    created_at     DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(DoubleDelta, ZSTD(1)),
    INDEX bus_sequence_range bus_sequence TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toDate(timestamp)
ORDER BY (exchange, market_type, symbol, timestamp)
TTL toDateTime(timestamp) + INTERVAL 3 DAY DELETE
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS marketprism_hot.open_interests
(
    timestamp      DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    received_at    DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    exchange       LowCardinality(String),
    market_type    LowCardinality(String),
    symbol         LowCardinality(String),
    instrument     LowCardinality(String),
    data_source    LowCardinality(String),
    open_interest  Decimal(38, 12) CODEC(ZSTD(1)),
    quantity_unit  LowCardinality(String) DEFAULT 'base',
    open_interest_value Nullable(Decimal(38, 12)) CODEC(ZSTD(1)),
    contracts      Nullable(Decimal(38, 12)) CODEC(ZSTD(1)),
    bus_stream     DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    bus_sequence   UInt64 CODEC(Delta, ZSTD(1)),
    bus_index      UInt32 CODEC(T64, ZSTD(1)),
    created_at     DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(DoubleDelta, ZSTD(1)),
    INDEX bus_sequence_range bus_sequence TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toDate(timestamp)
ORDER BY (exchange, market_type, symbol, timestamp)
TTL toDateTime(timestamp) + INTERVAL 3 DAY DELETE
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, fsync_after_insert = 1, fsync_part_directory = 1;

-- side is that of the liquidation order: sell closes a long. A sum over sampled ones is not a total.
CREATE TABLE IF NOT EXISTS marketprism_hot.liquidations
(
    timestamp      DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    received_at    DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    exchange       LowCardinality(String),
    market_type    LowCardinality(String),
    symbol         LowCardinality(String),
    instrument     LowCardinality(String),
    data_source    LowCardinality(String),
    side           LowCardinality(String),
    price          Nullable(Decimal(38, 12)) CODEC(ZSTD(1)),
    average_price  Nullable(Decimal(38, 12)) CODEC(ZSTD(1)),
    quantity       Decimal(38, 12) CODEC(ZSTD(1)),
    quantity_unit  LowCardinality(String) DEFAULT 'base',
    filled_quantity Nullable(Decimal(38, 12)) CODEC(ZSTD(1)),
    contracts      Nullable(Decimal(38, 12)) CODEC(ZSTD(1)),
    status         LowCardinality(String),
    coverage       LowCardinality(String),
    base_quantity  Nullable(Decimal(38, 12)) ALIAS if(quantity_unit = 'quote', quantity / coalesce(average_price, price), quantity),
    bus_stream     DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    bus_sequence   UInt64 CODEC(Delta, ZSTD(1)),
    bus_index      UInt32 CODEC(T64, ZSTD(1)),
    created_at     DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(DoubleDelta, ZSTD(1)),
    INDEX bus_sequence_range bus_sequence TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toDate(timestamp)
ORDER BY (exchange, market_type, symbol, timestamp)
TTL toDateTime(timestamp) + INTERVAL 3 DAY DELETE
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS marketprism_hot.lsr_top_positions
(
    timestamp      DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    received_at    DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    exchange       LowCardinality(String),
    market_type    LowCardinality(String),
    symbol         LowCardinality(String),
    instrument     LowCardinality(String),
    data_source    LowCardinality(String),
    long_position_ratio Nullable(Decimal(38, 18)) CODEC(ZSTD(1)),
    short_position_ratio Nullable(Decimal(38, 18)) CODEC(ZSTD(1)),
    long_short_ratio Decimal(38, 18) CODEC(ZSTD(1)),
    period         LowCardinality(String),
    bus_stream     DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    bus_sequence   UInt64 CODEC(Delta, ZSTD(1)),
    bus_index      UInt32 CODEC(T64, ZSTD(1)),
    created_at     DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(DoubleDelta, ZSTD(1)),
    INDEX bus_sequence_range bus_sequence TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toDate(timestamp)
ORDER BY (exchange, market_type, symbol, timestamp, period)
TTL toDateTime(timestamp) + INTERVAL 3 DAY DELETE
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS marketprism_hot.lsr_all_accounts
(
    timestamp      DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    received_at    DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    exchange       LowCardinality(String),
    market_type    LowCardinality(String),
    symbol         LowCardinality(String),
    instrument     LowCardinality(String),
    data_source    LowCardinality(String),
    long_account_ratio Nullable(Decimal(38, 18)) CODEC(ZSTD(1)),
    short_account_ratio Nullable(Decimal(38, 18)) CODEC(ZSTD(1)),
    long_short_ratio Decimal(38, 18) CODEC(ZSTD(1)),
    period         LowCardinality(String),
    bus_stream     DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    bus_sequence   UInt64 CODEC(Delta, ZSTD(1)),
    bus_index      UInt32 CODEC(T64, ZSTD(1)),
    created_at     DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(DoubleDelta, ZSTD(1)),
    INDEX bus_sequence_range bus_sequence TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toDate(timestamp)
ORDER BY (exchange, market_type, symbol, timestamp, period)
TTL toDateTime(timestamp) + INTERVAL 3 DAY DELETE
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS marketprism_hot.volatility_indices
(
    timestamp      DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    received_at    DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    exchange       LowCardinality(String),
    market_type    LowCardinality(String),
    symbol         LowCardinality(String),
    instrument     LowCardinality(String),
    data_source    LowCardinality(String),
    index_value    Decimal(38, 18) CODEC(ZSTD(1)),
    open           Nullable(Decimal(38, 18)) CODEC(ZSTD(1)),
    high           Nullable(Decimal(38, 18)) CODEC(ZSTD(1)),
    low            Nullable(Decimal(38, 18)) CODEC(ZSTD(1)),
    resolution     LowCardinality(String),
    underlying_asset LowCardinality(String),
    bus_stream     DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    bus_sequence   UInt64 CODEC(Delta, ZSTD(1)),
    bus_index      UInt32 CODEC(T64, ZSTD(1)),
    created_at     DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(DoubleDelta, ZSTD(1)),
    INDEX bus_sequence_range bus_sequence TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toDate(timestamp)
ORDER BY (exchange, market_type, symbol, timestamp, resolution)
TTL toDateTime(timestamp) + INTERVAL 3 DAY DELETE
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, fsync_after_insert = 1, fsync_part_directory = 1;

-- What is missing, and what has become of it: a state change is a row with a higher version. Read the view gaps.
-- gap_start: the last good event before it; gap_end: the first good one after it. cause start and end mark the
-- edges of a recording and are no loss. gap_id: the place that noticed it.
CREATE TABLE IF NOT EXISTS marketprism_hot.data_gaps
(
    exchange       LowCardinality(String),
    market_type    LowCardinality(String),
    symbol         LowCardinality(String),
    instrument     LowCardinality(String),
    data_type      LowCardinality(String),
    data_source    LowCardinality(String),
    gap_start      DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    gap_end        DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    last_id        String,
    next_id        String,
    cause          LowCardinality(String),
    state          LowCardinality(String) DEFAULT 'open',
    recovered_by   String,
    recovered_rows UInt64,
    detected_at    DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    gap_id         String,
    version        UInt64,
    bus_stream     DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    bus_sequence   UInt64 CODEC(Delta, ZSTD(1)),
    bus_index      UInt32 CODEC(T64, ZSTD(1)),
    created_at     DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(DoubleDelta, ZSTD(1)),
    INDEX bus_sequence_range bus_sequence TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(gap_start)
ORDER BY (exchange, market_type, symbol, data_type, gap_id)
SETTINGS index_granularity = 8192, fsync_after_insert = 1, fsync_part_directory = 1;

-- Messages that could not become events (origin collector) or rows (origin storage), as they were received.
CREATE TABLE IF NOT EXISTS marketprism_hot.rejected_messages
(
    received_at    DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    exchange       LowCardinality(String),
    market_type    LowCardinality(String),
    symbol         LowCardinality(String),
    instrument     LowCardinality(String),
    data_type      LowCardinality(String),
    data_source    LowCardinality(String),
    reason         String CODEC(ZSTD(1)),
    raw            String CODEC(ZSTD(3)),
    origin         LowCardinality(String),
    bus_stream     DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    bus_sequence   UInt64 CODEC(Delta, ZSTD(1)),
    bus_index      UInt32 CODEC(T64, ZSTD(1)),
    created_at     DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(DoubleDelta, ZSTD(1)),
    INDEX bus_sequence_range bus_sequence TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(received_at)
ORDER BY (exchange, market_type, data_type, received_at)
SETTINGS index_granularity = 8192, fsync_after_insert = 1, fsync_part_directory = 1;

-- Definitions of instruments, each from valid_from on. Read the view current_instruments for the newest.
CREATE TABLE IF NOT EXISTS marketprism_hot.instruments
(
    valid_from     DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    received_at    DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    exchange       LowCardinality(String),
    market_type    LowCardinality(String),
    symbol         LowCardinality(String),
    instrument     LowCardinality(String),
    data_source    LowCardinality(String),
    base_asset     LowCardinality(String),
    quote_asset    LowCardinality(String),
    settlement_asset LowCardinality(String),
    contract_size  Decimal(38, 12),
    quantity_unit  LowCardinality(String) DEFAULT 'base',
    tick_size      Nullable(Decimal(38, 12)),
    lot_size       Nullable(Decimal(38, 12)),
    status         LowCardinality(String),
    expiry         Nullable(DateTime64(9, 'UTC')),
    strike         Nullable(Decimal(38, 12)),
    option_right   LowCardinality(String),
    version        UInt64,
    bus_stream     DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    bus_sequence   UInt64 CODEC(Delta, ZSTD(1)),
    bus_index      UInt32 CODEC(T64, ZSTD(1)),
    created_at     DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(DoubleDelta, ZSTD(1)),
    INDEX bus_sequence_range bus_sequence TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY tuple()
ORDER BY (exchange, market_type, symbol, valid_from)
SETTINGS index_granularity = 8192, fsync_after_insert = 1, fsync_part_directory = 1;

-- Views for the questions that everybody asks. Plain views: nothing is stored twice.

-- Gaps in their newest state.
CREATE OR REPLACE VIEW marketprism_hot.gaps AS
SELECT * FROM marketprism_hot.data_gaps FINAL;

CREATE OR REPLACE VIEW marketprism_hot.current_instruments AS
SELECT * FROM marketprism_hot.instruments FINAL
ORDER BY exchange, market_type, symbol, valid_from DESC
LIMIT 1 BY exchange, market_type, symbol;

-- Open, high, low, close and volume by minute, of what was matched in the order book (no block trades, no legs of
-- combos). volume counts base units, quote_volume units of the price.
CREATE OR REPLACE VIEW marketprism_hot.ohlcv_1m AS
SELECT
    exchange, market_type, symbol, is_aggregated,
    toStartOfMinute(timestamp) AS minute,
    argMin(price, (timestamp, bus_stream, bus_sequence, bus_index)) AS open,
    max(price) AS high,
    min(price) AS low,
    argMax(price, (timestamp, bus_stream, bus_sequence, bus_index)) AS close,
    sum(base_quantity) AS volume,
    sum(if(quantity_unit = 'quote', toDecimal128(quantity, 12), toDecimal128(price * quantity, 12))) AS quote_volume,
    sumIf(base_quantity, side = 'buy') AS buy_volume,
    count() AS trades
FROM marketprism_hot.trades
WHERE execution = 'book'
GROUP BY exchange, market_type, symbol, is_aggregated, minute;

-- The newest trade of each symbol.
CREATE OR REPLACE VIEW marketprism_hot.latest_trades AS
SELECT * FROM marketprism_hot.trades
WHERE (exchange, market_type, symbol, timestamp) IN
    (SELECT exchange, market_type, symbol, max(timestamp) FROM marketprism_hot.trades GROUP BY exchange, market_type, symbol)
ORDER BY exchange, market_type, symbol, bus_stream DESC, bus_sequence DESC, bus_index DESC
LIMIT 1 BY exchange, market_type, symbol;

-- The newest picture of each book.
CREATE OR REPLACE VIEW marketprism_hot.latest_orderbooks AS
SELECT * FROM marketprism_hot.orderbooks
WHERE (exchange, market_type, symbol, timestamp) IN
    (SELECT exchange, market_type, symbol, max(timestamp) FROM marketprism_hot.orderbooks GROUP BY exchange, market_type, symbol)
ORDER BY exchange, market_type, symbol, bus_stream DESC, bus_sequence DESC, bus_index DESC
LIMIT 1 BY exchange, market_type, symbol;

-- Best bid and ask over time.
CREATE OR REPLACE VIEW marketprism_hot.spreads AS
SELECT
    timestamp, received_at, exchange, market_type, symbol, depth,
    best_bid_price, best_bid_quantity, best_ask_price, best_ask_quantity,
    best_ask_price - best_bid_price AS spread,
    (best_ask_price + best_bid_price) / 2 AS mid_price,
    10000 * toFloat64(spread) / toFloat64(mid_price) AS spread_bps
FROM marketprism_hot.orderbooks
WHERE best_bid_price IS NOT NULL AND best_ask_price IS NOT NULL;

-- By hour: how many rows there are, from when to when, and how much of the hour lies in gaps that begin in it.
CREATE OR REPLACE VIEW marketprism_hot.coverage AS
SELECT
    data_type, exchange, market_type, symbol, hour,
    sum(row_count) AS rows,
    min(first_at) AS first_timestamp,
    max(last_at) AS last_timestamp,
    sum(gap_count) AS gaps,
    sum(seconds) AS gap_seconds
FROM
(
    SELECT 'orderbook' AS data_type, exchange, market_type, symbol, toStartOfHour(timestamp) AS hour, count() AS row_count,
        toNullable(min(timestamp)) AS first_at, toNullable(max(timestamp)) AS last_at, 0 AS gap_count, 0. AS seconds
    FROM marketprism_hot.orderbooks GROUP BY exchange, market_type, symbol, hour
    UNION ALL
    SELECT 'orderbook_delta' AS data_type, exchange, market_type, symbol, toStartOfHour(timestamp) AS hour, count() AS row_count,
        toNullable(min(timestamp)) AS first_at, toNullable(max(timestamp)) AS last_at, 0 AS gap_count, 0. AS seconds
    FROM marketprism_hot.orderbook_deltas GROUP BY exchange, market_type, symbol, hour
    UNION ALL
    SELECT 'trade' AS data_type, exchange, market_type, symbol, toStartOfHour(timestamp) AS hour, count() AS row_count,
        toNullable(min(timestamp)) AS first_at, toNullable(max(timestamp)) AS last_at, 0 AS gap_count, 0. AS seconds
    FROM marketprism_hot.trades GROUP BY exchange, market_type, symbol, hour
    UNION ALL
    SELECT 'funding_rate' AS data_type, exchange, market_type, symbol, toStartOfHour(timestamp) AS hour, count() AS row_count,
        toNullable(min(timestamp)) AS first_at, toNullable(max(timestamp)) AS last_at, 0 AS gap_count, 0. AS seconds
    FROM marketprism_hot.funding_rates GROUP BY exchange, market_type, symbol, hour
    UNION ALL
    SELECT 'open_interest' AS data_type, exchange, market_type, symbol, toStartOfHour(timestamp) AS hour, count() AS row_count,
        toNullable(min(timestamp)) AS first_at, toNullable(max(timestamp)) AS last_at, 0 AS gap_count, 0. AS seconds
    FROM marketprism_hot.open_interests GROUP BY exchange, market_type, symbol, hour
    UNION ALL
    SELECT 'liquidation' AS data_type, exchange, market_type, symbol, toStartOfHour(timestamp) AS hour, count() AS row_count,
        toNullable(min(timestamp)) AS first_at, toNullable(max(timestamp)) AS last_at, 0 AS gap_count, 0. AS seconds
    FROM marketprism_hot.liquidations GROUP BY exchange, market_type, symbol, hour
    UNION ALL
    SELECT 'lsr_top_position' AS data_type, exchange, market_type, symbol, toStartOfHour(timestamp) AS hour, count() AS row_count,
        toNullable(min(timestamp)) AS first_at, toNullable(max(timestamp)) AS last_at, 0 AS gap_count, 0. AS seconds
    FROM marketprism_hot.lsr_top_positions GROUP BY exchange, market_type, symbol, hour
    UNION ALL
    SELECT 'lsr_all_account' AS data_type, exchange, market_type, symbol, toStartOfHour(timestamp) AS hour, count() AS row_count,
        toNullable(min(timestamp)) AS first_at, toNullable(max(timestamp)) AS last_at, 0 AS gap_count, 0. AS seconds
    FROM marketprism_hot.lsr_all_accounts GROUP BY exchange, market_type, symbol, hour
    UNION ALL
    SELECT 'volatility_index' AS data_type, exchange, market_type, symbol, toStartOfHour(timestamp) AS hour, count() AS row_count,
        toNullable(min(timestamp)) AS first_at, toNullable(max(timestamp)) AS last_at, 0 AS gap_count, 0. AS seconds
    FROM marketprism_hot.volatility_indices GROUP BY exchange, market_type, symbol, hour
    UNION ALL
    SELECT data_type, exchange, market_type, symbol, toStartOfHour(gap_start) AS hour, 0 AS row_count,
        NULL AS first_at, NULL AS last_at, count() AS gap_count,
        sum(toUnixTimestamp64Milli(gap_end) - toUnixTimestamp64Milli(gap_start)) / 1000. AS seconds
    FROM marketprism_hot.gaps WHERE cause NOT IN ('start', 'end') AND state != 'recovered'
    GROUP BY data_type, exchange, market_type, symbol, hour
)
GROUP BY data_type, exchange, market_type, symbol, hour;
