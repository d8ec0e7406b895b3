// Package compare runs one exchange on two engines and says what they make of it. Tests compare every kind of request with
// it, and the gateway the sampled ones of its traffic.
//
// Invariant: a difference is never explained away without the reference's help. When the engines disagree, the reference is
// asked again: only if it gives several answers itself, the disagreement is not one. The few places where it is known to
// have no answer (docs/decisions, where engines differ) are in one list, Excepted.
//
// The reference visits the values of a collection in no particular order, so that what depends on the order (the last
// matched value, captures of a rule that matched several values) may come out differently each time. Compared are the
// interruption, the set of rules that matched with phase and position, for each the multiset of the values that it matched,
// scores, exclusions, and whether inspection was switched off. Messages, their data, and the order of matches are compared
// too, but listed apart.
package compare
