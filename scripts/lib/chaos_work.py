"""What a kill test loads: the request, what it must give, and how to look for it."""

from pathlib import Path

import candles
import trades
from local_stack import Failure

CANDLE_SYMBOLS = (
    "BTCUSDT ETHUSDT SOLUSDT XRPUSDT DOGEUSDT AVAXUSDT LINKUSDT LTCUSDT TRXUSDT SHIBUSDT PEPEUSDT 1INCHUSDT"
).split()
TRADE_SYMBOLS = ["BTCUSDT", "ETHUSDT"]


class CandleWork:
    """5-minute candles of 12 symbols for 7 days, by the short form of a request."""

    symbols = CANDLE_SYMBOLS
    type = "api_candles_5m"
    time_range = "2024-08-01:2024-08-07"
    # Records a second and symbol: 2,016 candles take 22 s.
    pace = 90
    # Small pages make records flow evenly under a pace.
    page_rows = 100

    def __init__(self, sample: Path):
        self.sources = {
            symbol: candles.of_source(sample, symbol, "5m", self.time_range) for symbol in self.symbols
        }

    def request(self) -> dict:
        return {"symbols": self.symbols, "type": self.type, "time_range": self.time_range}

    def collection(self, symbol: str) -> str:
        return candles.collection_of(symbol, self.type, self.time_range)

    def stored(self, store: candles.Store, symbol: str) -> candles.Range:
        return store.of_collection(self.collection(symbol))

    def check(self, store: candles.Store, what: str) -> None:
        for symbol, source in self.sources.items():
            stored = self.stored(store, symbol)
            if stored != source:
                raise Failure(f"{what}: {symbol}: the source is {source}, the store {stored}")


class TradeWork(CandleWork):
    """All recorded trades, by the template `historical_trades`; a candle made of them must be the recorded one."""

    symbols = TRADE_SYMBOLS
    type = trades.TYPE
    time_range = "2024-08-08:2024-08-09"
    # 19,904 trades take 28 s.
    pace = 700
    # 2024-08-09 00:00: the recorded trades hold all of these five minutes.
    candle_time = 1_723_161_600_000

    def __init__(self, sample: Path):
        self.sources = {symbol: trades.of_source(sample, symbol, self.time_range) for symbol in self.symbols}
        self.candles = {
            symbol: trades.recorded_candle(sample, symbol, self.candle_time) for symbol in self.symbols
        }

    def request(self) -> dict:
        parameters = {"symbols": self.symbols, "kind": self.type, "time_range": self.time_range}
        return {"template": "historical_trades", "parameters": parameters}

    def stored(self, store: candles.Store, symbol: str) -> candles.Range:
        return store.of_collection(self.collection(symbol), trades.digester())

    def check(self, store: candles.Store, what: str) -> None:
        super().check(store, what)
        for symbol, candle in self.candles.items():
            made = trades.stored_candle(store, self.collection(symbol), self.candle_time)
            if made != candle:
                raise Failure(f"{what}: {symbol}: the recorded candle is {candle}, the trades make {made}")


WORK = {"candles": CandleWork, "trades": TradeWork}
