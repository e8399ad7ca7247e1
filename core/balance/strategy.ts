/**
 * Which member of a group is next. A strategy sees the serving members only; counting
 * connections, draining and failures are the group's.
 */
export interface Strategy<Member> {
  /** The whole serving set. Members that stay are the same objects as before. */
  replace(members: readonly Member[]): void
  /** The next member outside `exclude`, or undefined when there is none. */
  choose(exclude: readonly Member[]): Member | undefined
}
