// What the Kotlin snippet calls of Android.
package android.graphics

class Bitmap(private val pixels: IntArray, val width: Int, val height: Int) {
    fun getPixels(into: IntArray, offset: Int, stride: Int, x: Int, y: Int, wide: Int, high: Int) {
        check(offset == 0 && stride == width && x == 0 && y == 0 && wide == width && high == height)
        pixels.copyInto(into)
    }
}
