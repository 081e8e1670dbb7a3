"""From starts to certified points: the softplus continuation, for one problem and for many."""
