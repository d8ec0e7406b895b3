package vars

import (
	"strconv"
	"time"

	"gatehouse/rules/program/variable"
)

// clock keeps the texts of the time variables while the second is the same.
type clock struct {
	second int64
	text   string // empty before the first use

	epoch, time, hour, minute, sec, day, month, year, weekday string
}

// fill sets the time variables, in UTC.
func (c *clock) fill(v *Vars, t time.Time) {
	if second := t.Unix(); c.text == "" || second != c.second {
		c.second = second
		c.set(t.UTC())
	}
	v.Singles[variable.TimeEpoch] = c.epoch
	v.Singles[variable.Time] = c.time
	v.Singles[variable.TimeHour] = c.hour
	v.Singles[variable.TimeMin] = c.minute
	v.Singles[variable.TimeSec] = c.sec
	v.Singles[variable.TimeDay] = c.day
	v.Singles[variable.TimeMon] = c.month
	v.Singles[variable.TimeYear] = c.year
	v.Singles[variable.TimeWday] = c.weekday
}

// set makes all texts parts of one.
func (c *clock) set(t time.Time) {
	var room [64]byte
	b := t.AppendFormat(room[:0], time.TimeOnly)
	clockEnd := len(b)
	b = strconv.AppendInt(b, c.second, 10)
	epochEnd := len(b)
	b = strconv.AppendInt(b, int64(t.Year()), 10)
	c.text = string(b)
	c.time, c.epoch, c.year = c.text[:clockEnd], c.text[clockEnd:epochEnd], c.text[epochEnd:]
	c.hour, c.minute, c.sec = c.time[0:2], c.time[3:5], c.time[6:8]
	// Numbers this small are constants to strconv.
	c.day = strconv.Itoa(t.Day())
	c.month = strconv.Itoa(int(t.Month()))
	c.weekday = strconv.Itoa(int(t.Weekday()))
}
