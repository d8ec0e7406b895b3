// Package operator decides SecLang's operators on one value, with the verdicts and captures of Coraza 3.8.1.
//
// Invariants:
//   - Match returns what Coraza's operator of that name and argument returns for the value, and leaves in Captures what
//     that would have put into TX:0 to TX:9. Negation ("!@rx") is the caller's.
//   - An argument with which Coraza refuses to load a rule is an error of Compile. What this package does not decide is
//     ErrUnsupported: the reference decides it.
//   - Operators are immutable and safe for concurrent use. Nothing is cached by value or by argument at run time.
//
// # Arguments with macros
//
// Only the operators that Compare knows expand macros; for all others "%{" are two characters like any other. Their
// argument may be known only at run time, so a Comparison takes both texts and costs nothing to set up.
// Coraza checks that the argument is not empty before it expands macros: Compile checks that too, Comparison.With, for
// a text that was expanded, does not.
//
// # What it costs
//
// Deciding is linear in the length of the value, with the exception of captures of @pm (times the longest pattern), and
// does not allocate, with the exception of captures of regular expressions, @detectSQLi and @detectXSS on values that
// libinjection has to decide, @validateNid, and @ipMatch on text that is nearly an address.
// Patterns are decided with regexp and binaryregexp, as the reference does; they are exact, not fast, and a faster
// decider has to agree with them.
//
// # Operators that run on everything
//
// @detectSQLi and @detectXSS run on every argument, cookie and name, and the libinjection that decides them takes about a
// microsecond for a short one. So mayBeSQLi and mayBeXSS exclude first what cannot be an attack, with one scan or none;
// what they do not exclude, libinjection decides, in full. They know how it splits text and what its tables lack; the
// comments at both argue why that is enough, and tests hold them against the library's source and behaviour: another
// version of the library that breaks an argument fails them.
// These two, and the @validate operators, need little more of most values than the set of their bytes: Masked is for callers
// that have it.
//
// # Where the reference is not followed
//
// @validateNid in Coraza panics for a number without a digit (the pattern can find such text); here that is no number.
// A file with a line longer than 64 KiB, which Coraza silently reads only up to that line, is an error.
package operator
