import { strict as assert } from 'node:assert';
import diagnostics from 'node:diagnostics_channel';
import { metrics } from '@opentelemetry/api';
import { AggregationTemporality, InMemoryMetricExporter, MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';
import type { Application } from 'egg';
import mm, { type MockApplication } from 'egg-mock';
import type { SessionStore } from '../..';
import { PAUSE } from '../../module/store/CircuitBreaker';
import { Client, createApp } from '../support/app';
import { blocksUnder, exportsOf } from '../support/docs';
import { until } from '../support/servers';

const [ openTelemetry, prometheus ] = blocksUnder('docs/operations.md', '## Metrics');

describe('docs/operations.md', () => {
  let app: MockApplication;
  let client: Client;
  let store: SessionStore;
  /** What takes back the subscriptions of the examples. */
  let undo: Array<() => void>;
  beforeEach(async () => {
    mm.consoleLevel('NONE');
    undo = [];
    const { subscribe } = diagnostics;
    mm(diagnostics, 'subscribe', ((name, listener) => {
      subscribe(name, listener);
      undo.push(() => diagnostics.unsubscribe(name, listener));
    }) satisfies typeof subscribe);
    app = await createApp('account', { session: { storeTimeout: 100 } });
    client = await Client.of(app);
    store = (app as unknown as Application).config.session.store as SessionStore;
  });
  afterEach(async () => {
    mm.restore();
    for (const unsubscribe of undo) unsubscribe();
    await client.close();
    await app.close();
  });

  const read = () => client.tryRun(session => ({ n: session.n ?? null }));
  const outage = () => mm(store, 'get', async () => {
    throw new Error('down');
  });
  const health = async () => {
    const { status, json } = await client.another().request('/health');
    return { status, ...json() as any };
  };

  /** A write, and two reads. */
  async function use() {
    await client.run((session: any) => {
      session.n = 1;
    });
    await read();
    await read();
  }

  it('its health check tells of an outage, and of its end', async () => {
    await use();
    const { status, breaker, counters, latency } = await health();
    assert.deepEqual([ status, breaker, counters.loads, counters.writes ], [ 200, 'closed', 2, 1 ]);
    assert.ok(latency.p99 > 0);
    outage();
    await until('the store is down', async () => {
      await read();
      return (await health()).status === 503;
    });
    await new Promise(resolve => { setTimeout(resolve, PAUSE); });
    const paused = await health();
    assert.deepEqual([ paused.status, paused.breaker ], [ 200, 'half-open' ]);
    mm.restore();
    assert.equal((await read()).status, 200);
    assert.equal((await health()).breaker, 'closed');
  });

  it('its metrics for OpenTelemetry count and time each call', async () => {
    const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
    const provider = new MeterProvider({
      readers: [ new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 }) ],
    });
    metrics.setGlobalMeterProvider(provider);
    try {
      exportsOf(openTelemetry).measureSessions();
      await use();
      outage();
      assert.equal((await read()).status, 503);
      await provider.forceFlush();
      const found = Object.fromEntries(exporter.getMetrics().at(-1)!.scopeMetrics.flatMap(scope => scope.metrics)
        .map(({ descriptor, dataPoints }) => [ descriptor.name, dataPoints.map(({ attributes, value }) =>
          ({ ...attributes, n: typeof value === 'number' ? value : (value as { count: number }).count })) ]));
      assert.deepEqual(found, {
        'session.store.duration': [{ operation: 'set', n: 1 }, { operation: 'get', n: 3 }],
        'session.store.failures': [{ operation: 'get', rejected: false, n: 1 }],
      });
    } finally {
      metrics.disable();
      await provider.shutdown();
    }
  });

  it('its metrics for Prometheus count and time each call', async () => {
    const register = exportsOf(prometheus).measureSessions();
    try {
      await use();
      outage();
      await until('a call is not made', async () => {
        await read();
        return (await health()).counters.rejected > 0;
      });
      assert.equal(undo.length, 1);
      const page: string = await register.metrics();
      assert.match(page, /^session_store_duration_seconds_count\{operation="set"\} 1$/m);
      const { counters: { loads, errors, rejected } } = await health();
      assert.match(page, new RegExp(`^session_store_duration_seconds_count\\{operation="get"\\} ${loads}$`, 'm'));
      assert.match(page, new RegExp(`^session_store_failures_total\\{operation="get",rejected="false"\\} ${errors}$`, 'm'));
      assert.match(page, new RegExp(`^session_store_failures_total\\{operation="get",rejected="true"\\} ${rejected}$`, 'm'));
    } finally {
      register.clear();
    }
  });
});
