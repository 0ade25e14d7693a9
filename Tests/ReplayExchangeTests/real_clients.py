"""Loads candles and trades from the exchange at argv[1] with ccxt and python-binance.

Prints one JSON object with what each client saw; any exception ends with a non-zero status.
Packages and versions: Tests/requirements.txt.
"""

import json
import sys

import ccxt
from binance.client import Client
from binance.exceptions import BinanceAPIException

START = 1722470400000  # 2024-08-01 00:00 UTC
STEP = 300_000
DAY_ROWS = 288


def with_ccxt(base_url: str) -> dict:
    exchange = ccxt.binance({"options": {"fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False}})
    exchange.urls["api"]["public"] = base_url + "/api/v3"
    markets = exchange.load_markets()
    candles = []
    since = START
    while len(candles) < DAY_ROWS * 5:
        page = exchange.fetch_ohlcv("BTC/USDT", "5m", since=since, limit=1000)
        if not page:
            break
        candles += page
        since = page[-1][0] + STEP
    trades = exchange.fetch_trades("BTC/USDT", since=1723161600000, limit=500)
    try:
        exchange.fetch_ohlcv("BTC/USDT", "5m", params={"symbol": "XYZUSDT"})
        refusal = None
    except ccxt.BadSymbol as error:
        refusal = str(error)
    return {
        "markets": len(markets),
        "time": exchange.fetch_time(),
        "candles": len(candles),
        "inOrder": all(b[0] - a[0] == STEP for a, b in zip(candles, candles[1:])),
        "first": candles[0],
        "trades": len(trades),
        "firstTrade": [trades[0]["timestamp"], trades[0]["price"]],
        "refusal": refusal,
    }


def with_python_binance(base_url: str) -> dict:
    Client.API_URL = base_url + "/api"
    client = Client()
    client.API_URL = base_url + "/api"
    candles = client.get_historical_klines("BTCUSDT", "5m", START, START + 5 * DAY_ROWS * STEP - 1)
    trades = client.get_historical_trades(symbol="BTCUSDT", fromId=3735683259, limit=1000)
    aggregates = client.get_aggregate_trades(symbol="BTCUSDT", startTime=1723161600000, limit=500)
    try:
        client.get_klines(symbol="XYZUSDT", interval="5m")
        refusal = None
    except BinanceAPIException as error:
        refusal = [error.code, error.message]
    return {
        "symbols": len(client.get_exchange_info()["symbols"]),
        "candles": len(candles),
        "inOrder": all(b[0] - a[0] == STEP for a, b in zip(candles, candles[1:])),
        "first": candles[0],
        "trades": len(trades),
        "tradeIDs": [trades[0]["id"], trades[-1]["id"]],
        "aggregates": len(aggregates),
        "refusal": refusal,
    }


if __name__ == "__main__":
    seen = {"ccxt": with_ccxt(sys.argv[1]), "pythonBinance": with_python_binance(sys.argv[1])}
    print(json.dumps(seen))
