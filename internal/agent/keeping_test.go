package agent

import (
	"testing"
	"time"
)

func TestServersStateIsKeptAfterEveryChange(t *testing.T) {
	var k keeping
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, step := range []struct {
		after         time.Duration
		changed, kept bool
		due           bool
		why           string
	}{
		{0, false, true, false, "nothing has changed yet"},
		{time.Second, true, true, true, "the first change"},
		{2 * time.Second, true, true, false, "a change soon after"},
		{3 * time.Second, false, true, false, "still soon after"},
		{time.Second + stateDump, false, true, true, "that change, once there was time"},
		{time.Minute, false, true, false, "nothing new"},
		{2 * time.Minute, true, false, true, "a change that could not be written"},
		{2*time.Minute + time.Second, false, true, false, "not again at once"},
		{3 * time.Minute, false, true, true, "again"},
		{4 * time.Minute, false, true, false, "nothing new"},
	} {
		if got := k.due(step.changed, begin.Add(step.after)); got != step.due {
			t.Errorf("%s: due %v", step.why, got)
		} else if got {
			k.done(step.kept)
		}
	}
}
