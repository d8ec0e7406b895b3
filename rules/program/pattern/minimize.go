package pattern

import "encoding/binary"

// minimize groups the rows of a table that no value tells apart. It returns the group of each row, and the first row of
// each group; the match keeps the first group for itself.
func minimize(next []uint32, columns int, ends Bits) (group, firsts []uint32) {
	rows := len(next) / columns
	group = make([]uint32, rows)
	for r := range group {
		switch {
		case r == matched:
		case ends.Has(r):
			group[r] = 1
		default:
			group[r] = 2
		}
	}
	for {
		count := len(firsts)
		firsts = firsts[:0]
		known := make(map[string]uint32, count)
		split := make([]uint32, rows)
		key := make([]byte, 0, 2*columns+2)
		for r := range rows {
			key = binary.LittleEndian.AppendUint16(key[:0], uint16(group[r]))
			for _, to := range next[r*columns : (r+1)*columns] {
				key = binary.LittleEndian.AppendUint16(key, uint16(group[to]))
			}
			g, ok := known[string(key)]
			if !ok {
				g = uint32(len(firsts))
				known[string(key)] = g
				firsts = append(firsts, uint32(r))
			}
			split[r] = g
		}
		group = split
		if len(firsts) == count {
			return group, firsts
		}
	}
}
