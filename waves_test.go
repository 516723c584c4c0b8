package weir_test

import (
	"strings"
	"testing"
	"time"

	"weir"
)

func TestWaves(t *testing.T) {
	group := func(waves string) (*weir.LoadBalancerGroup, error) {
		list, err := weir.Decode("g.yaml", []byte("kind: LoadBalancerGroup\nmetadata: {name: edge}\nspec: {ranges: [203.0.113.0/28]"+waves+"}\n"))
		if err != nil {
			return nil, err
		}
		return list[0].Spec.(*weir.LoadBalancerGroup), nil
	}
	if g, err := group(""); err != nil || g.Waves != nil {
		t.Errorf("without: %+v, %v", g, err)
	}
	if g, err := group(", waves: {}"); err != nil || g.Waves.Watch.D() != 30*time.Second || g.Waves.Patience.D() != time.Minute || *g.Waves.MaxErrorRise != 1 {
		t.Errorf("the defaults: %+v, %v", g.Waves, err)
	}
	if g, err := group(", waves: {watch: 1s, maxErrorRise: 0}"); err != nil || g.Waves.Watch.D() != time.Second || *g.Waves.MaxErrorRise != 0 {
		t.Errorf("given: %+v, %v", g.Waves, err)
	}
	for text, want := range map[string]string{"watch: 10ms": "spec.waves.watch", "patience: 25h": "spec.waves.patience", "maxErrorRise: 101": "spec.waves.maxErrorRise", "maxErrorRise: -1": "spec.waves.maxErrorRise"} {
		if _, err := group(", waves: {" + text + "}"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, k := range weir.Kinds() {
		moves := strings.Contains(" Zone LoadBalancer Server Override ZoneShift Schedule Split Role IdentityProvider Grant Token Secret Issuer DiscoverySource Change ", " "+k.Name+" ")
		if weir.WaitForWaves(k.Name) == moves {
			t.Errorf("%s waits: %v", k.Name, !moves)
		}
	}
}
