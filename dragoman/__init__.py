"""What a program that wants translations imports: ``dragoman.client``. It needs neither torch nor the image's code."""
