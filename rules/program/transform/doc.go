// Package transform has SecLang's transformations, with the results of Coraza 3.8.1 byte for byte.
//
// Invariants:
//   - Apply returns what Coraza's transformation of that name returns: the same string, the same "changed", an error
//     where it has one.
//   - Where Func.Unchanged says so, Apply returns its input with changed false and no error.
//   - Apply never writes to its input, and a string that it returned stays as it is until Scratch.Reset.
//
// # Why there are three answers
//
// A rule passes the string on, whatever changed says. With multiMatch it goes by changed alone: a value that is reported
// as changed is looked at again even if it is the same, and one that is not reported is dropped even if it differs. Both
// happen: urlDecode reports every value with a "%", htmlEntityDecode reports none whose length stays, removeWhitespace
// repairs invalid UTF-8 without reporting it. So the two are returned apart. After an error the rule keeps the value
// from before, with multiMatch too, and goes on with the next transformation.
//
// # Why it is fast
//
// Most values are plain, and most transformations look for a few special bytes. Func.Relevant is the set of bytes
// without which a transformation does nothing, so one AND with the set of the value's bytes decides; Func.Unchanged adds
// conditions that need a look at the value, for transformations whose special bytes are ordinary ones (a space, a slash).
// If a value does change, the result goes into the transaction's Scratch, an append-only buffer: no allocation per value,
// and the results of every step of a chain stay valid together. The price is that the memory of intermediate results is
// free only at the end of the transaction: Scratch.Used is there for the caller's bound.
//
// Everything runs in linear time. The results of utf8toUnicode are at most six times, those of urlEncode, lowercase,
// uppercase and removeWhitespace three times and all others twice as long as the value.
package transform
