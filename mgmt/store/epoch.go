package store

import (
	"errors"
	"strconv"
)

// metaEpoch is where the epoch is kept. It rises when a backup was restored, so that no number of a revision is given twice.
const metaEpoch = "epoch"

// Epoch is that of the revisions which are published now. It begins at 1.
func (tx *Tx) Epoch() (uint64, error) {
	text, err := tx.Meta(metaEpoch)
	if errors.Is(err, ErrNotFound) {
		return 1, nil
	}
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(text, 10, 64)
}

// RaiseEpoch makes the epoch higher than one that was seen, and says whether it was not.
func (tx *Tx) RaiseEpoch(seen uint64) (raised bool, err error) {
	epoch, err := tx.Epoch()
	if err != nil || epoch > seen {
		return false, err
	}
	if seen+1 == 0 {
		return false, errors.New("the epoch cannot be raised any more")
	}
	return true, tx.SetMeta(metaEpoch, strconv.FormatUint(seen+1, 10))
}
