// Package resolve turns the text of a policy into its rules as they are once all of it is loaded: default actions merged
// in, rules removed and updated, blocks replaced, chains joined.
//
// Invariant: the rules are those that the reference (package rules/coraza) has after loading the same text, in the same
// order. What cannot be said in a Rule, or is not surely the same, is in its Unsupported or in that of the Policy, never
// left out.
//
// # How
//
// The text is read in order, as the reference reads it, in two steps.
//
// A source is parsed and its rules are built on their own (source, variant). What they are depends on nothing but the
// source's name and text, and on the default actions and data sets that stand before it: the environment. So rules are
// built once for each source and environment, and policies share them by pointer.
//
// A policy then runs through its sources and collects their rules; directives that remove or update rules loaded so far
// act on this list (builder). A rule that is updated is copied first, and its Identity says what was changed.
//
// # What has to be known of the reference
//
//   - The driver puts default actions for phases 1, 3 and 4 in front of a text that has none for the phase, and the
//     reference those for phase 2. There are none for phase 5: a block there does nothing.
//   - Links of a chain take the default actions of phase 2, whatever the phase of their chain. A link without any action
//     takes none.
//   - Default actions come before those of the rule. A disruptive action of the rule replaces theirs, block takes theirs.
//   - Of several disruptive actions in one list, the last counts.
//   - Actions about the rule itself (id, phase, msg, severity, rev, tag) are read first, so that a phase counts wherever
//     it stands.
//   - An exception (!ARGS:a) is about the targets of that variable in front of it.
//   - SecRuleUpdateTargetById changes the starter of a chain and none of its links; ctl:ruleRemoveTargetById is about
//     both.
//   - SecRuleUpdateActionById merges no default actions: block stays block, which does nothing.
//   - Regular expressions on keys are compiled from lower-cased text (so that \S becomes \s) unless the variable's keys
//     are case-sensitive; those of ctl are compiled as they stand.
//   - SecRuleRemoveByMsg fails if any rule loaded so far has no message.
//
// # What it costs
//
// Memory belongs to the policies in use: the cache refers to sources weakly. Resolving a policy whose sources are in the
// cache takes well under a millisecond for all of CRS, and allocates its list and the rules that it changes.
package resolve
