package weir_test

import (
	"strings"
	"testing"
	"time"

	"weir"
)

func TestZoneReturn(t *testing.T) {
	t.Parallel()
	decode := func(text string) (*weir.ZoneReturn, error) {
		list, err := weir.Decode("t.yaml", []byte("{kind: Tuning, metadata: {name: t}, spec: {zoneReturn: "+text+"}}"))
		if err != nil {
			return nil, err
		}
		return list[0].Spec.(*weir.Tuning).ZoneReturn, nil
	}
	for text, want := range map[string][2]time.Duration{
		"null": {3 * time.Second, 20 * time.Second}, "{}": {3 * time.Second, 20 * time.Second},
		"{wait: 0s}": {0, 20 * time.Second}, "{wait: 1m, ramp: 0s}": {time.Minute, 0},
	} {
		z, err := decode(text)
		if wait, ramp := z.Returning(); err != nil || wait.D() != want[0] || ramp.D() != want[1] || z.Usual() != (want[0] == 3*time.Second) {
			t.Errorf("%s: %s, %s, %v", text, wait, ramp, err)
		}
	}
	for text, want := range map[string]string{"{wait: 1500ms}": "spec.zoneReturn.wait: 1.5s is not a whole number", "{wait: -1s}": "spec.zoneReturn.wait", "{ramp: 2h}": "spec.zoneReturn.ramp: 2h is outside 0s to 1h"} {
		if _, err := decode(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
