package kubernetes

import (
	"testing"

	"weir/internal/weirtest"
)

// The objects as an API server writes them.
type (
	apiSlice    = weirtest.EndpointSlice
	apiMeta     = weirtest.ObjectMeta
	apiEndpoint = weirtest.Endpoint
	apiRef      = weirtest.ObjectRef
	apiPort     = weirtest.EndpointPort
)

// double is an API server at the end of pipes.
type double struct {
	*pipes
	*weirtest.Kubernetes
}

func newDouble(t *testing.T) *double {
	d := &double{pipes: newPipes(), Kubernetes: weirtest.NewKubernetes()}
	d.serve(t, d)
	return d
}
