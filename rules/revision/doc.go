// Package revision makes, signs, verifies and orders revisions: immutable, numbered snapshots of what the gateways of a
// group need, and the heads that say which one is the latest.
//
// Invariant: nothing of a revision is given away before the signature of its statement, its stack, group and order, and the
// hash and size of every part were verified, wherever it was read from: a connection, a disk or a bucket.
//
// A revision is a statement of a few lines, which is signed, a manifest that the statement names by its hash, and parts that
// the manifest names by theirs. So a part that stays the same from one revision to the next is stored and sent once.
package revision
