module gopark.invalid/peers

go 1.23
