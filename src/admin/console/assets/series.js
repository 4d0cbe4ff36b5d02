// Arithmetic over the series of metrics: sums, groups, what came between two readings, quantiles of histograms.

export const of = (series, name) => series?.[name] ?? [];

const fits = (labels, wanted) => Object.entries(wanted).every(([key, value]) => labels[key] === value);

const value = (one) => one.value ?? one.count ?? 0;

export const sum = (series, name, wanted = {}) => of(series, name).filter((one) => fits(one.labels, wanted)).reduce((all, one) => all + value(one), 0);

// Sums by the values of a label, as a Map in the order of the names.
export const by = (series, name, label, wanted = {}) => {
  const groups = new Map();
  for (const one of of(series, name)) {
    if (!fits(one.labels, wanted)) continue;
    groups.set(one.labels[label], (groups.get(one.labels[label]) ?? 0) + value(one));
  }
  return new Map([...groups].sort(([a], [b]) => (a < b ? -1 : 1)));
};

// Returns what was added between two readings. Gauges are taken as they are now.
export const between = (before, now) => {
  if (!before) return now;
  const result = {};
  for (const [name, list] of Object.entries(now)) {
    const isGauge = !name.endsWith("_total") && list.every((one) => one.count === undefined) && !name.endsWith("_net_savings_usd");
    const known = new Map(of(before, name).map((one) => [JSON.stringify(one.labels), one]));
    result[name] = isGauge ? list : list.map((one) => minus(one, known.get(JSON.stringify(one.labels))));
  }
  return result;
};

const minus = (now, before) => {
  if (!before) return now;
  if (now.count === undefined) return { labels: now.labels, value: now.value - before.value };
  const buckets = now.buckets.map(([bound, count], index) => [bound, count - (before.buckets[index]?.[1] ?? 0)]);
  return { labels: now.labels, count: now.count - before.count, sum: now.sum - before.sum, buckets };
};

// Adds the histograms of a name up.
export const histogram = (series, name, wanted = {}) => {
  const all = of(series, name).filter((one) => one.buckets && fits(one.labels, wanted));
  if (!all.length) return null;
  const buckets = all[0].buckets.map(([bound], index) => [bound, all.reduce((count, one) => count + (one.buckets[index]?.[1] ?? 0), 0)]);
  return { count: all.reduce((count, one) => count + one.count, 0), sum: all.reduce((whole, one) => whole + one.sum, 0), buckets };
};

// Returns a quantile, between the bounds of its bucket in a straight line; null where there is nothing.
export const quantile = (given, q) => {
  if (!given?.count) return null;
  const rank = q * given.count;
  let [below, counted] = [0, 0];
  for (const [bound, upTo] of given.buckets) {
    if (upTo >= rank) return upTo === counted ? bound : below + ((bound - below) * (rank - counted)) / (upTo - counted);
    [below, counted] = [bound, upTo];
  }
  return below;
};

export const mean = (given) => (given?.count ? given.sum / given.count : null);
