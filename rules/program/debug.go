package program

import "time"

var Debug map[int]*[3]int64

func (t *Tx) debugEvaluate(i int) bool {
	if Debug == nil {
		return t.evaluate(i)
	}
	start := time.Now()
	ok := t.evaluate(i)
	d := Debug[t.program.Rules[i].ID]
	if d == nil {
		d = new([3]int64)
		Debug[t.program.Rules[i].ID] = d
	}
	d[0]++
	d[1] += int64(time.Since(start))
	if ok {
		d[2]++
	}
	return ok
}
