-- What wrk measured, in one line of JSON: it prints no percentile between the 99th and the last.
function done(summary, latency, requests)
  local errors = summary.errors
  local lost = errors.connect + errors.read + errors.write + errors.timeout
  io.write(string.format(
    'figures {"requests": %d, "us": %d, "connections": %d, "status": %d, "p50": %d, "p99": %d, "p999": %d}\n',
    summary.requests, summary.duration, lost, errors.status,
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
end
