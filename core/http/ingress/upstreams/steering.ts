import type { Out, Upstream } from '../state.ts'

/** Reads no more from a backend than its client takes. */
export function steerUpstream(upstream: Upstream, out: Out): void {
  const { client, isPaused } = upstream
  const mustPause = client?.isBlocked === true && upstream.isConnected && !upstream.hasEnded
  if (mustPause === isPaused) return
  upstream.isPaused = mustPause
  out.push({ type: mustPause ? 'pause-upstream' : 'resume-upstream', upstream: upstream.id })
}
