module subject

go 1.25
