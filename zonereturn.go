package weir

import "time"

// ZoneReturn says how a zone comes back that sent requests on because none of its servers took them.
type ZoneReturn struct {
	// Wait is for how long it gets nothing after the last such request, in whole seconds; 3s when left out.
	Wait *Duration `json:"wait,omitempty"`
	// Ramp is over how long its share then grows to the whole, in whole seconds; 20s when left out.
	Ramp *Duration `json:"ramp,omitempty"`
}

// The usual ZoneReturn.
const (
	usualWait = Duration(3 * time.Second)
	usualRamp = Duration(20 * time.Second)
	longest   = time.Hour // of either
)

// Returning gives how long a zone waits and over how long its share grows, with the defaults filled in; z may be nil.
func (z *ZoneReturn) Returning() (wait, ramp Duration) {
	wait, ramp = usualWait, usualRamp
	if z != nil && z.Wait != nil {
		wait = *z.Wait
	}
	if z != nil && z.Ramp != nil {
		ramp = *z.Ramp
	}
	return wait, ramp
}

// Usual says whether it says no more than what holds without it.
func (z *ZoneReturn) Usual() bool {
	wait, ramp := z.Returning()
	return wait == usualWait && ramp == usualRamp
}

func (z *ZoneReturn) normalize() {
	if z == nil {
		return
	}
	wait, ramp := z.Returning()
	z.Wait, z.Ramp = &wait, &ramp
}

func (z *ZoneReturn) validate(p *Problems) {
	if z == nil {
		return
	}
	z.Wait.within(p, "zoneReturn.wait", 0, longest)
	wholeSeconds(p, "zoneReturn.wait", *z.Wait)
	z.Ramp.within(p, "zoneReturn.ramp", 0, longest)
	wholeSeconds(p, "zoneReturn.ramp", *z.Ramp)
}
